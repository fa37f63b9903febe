import { CASCADE_ROUTE } from "../../core/outbox/routes.js";
import { taskKey } from "./parent-task.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

/** How many child groups one attempt cancels. */
const STEP = 100;
/** How many cancels run concurrently: platforms limit the connections of one request. */
const AT_ONCE = 6;
/** The child groups of a group that has ended: those of its open tasks are cancelled. */
export const cascadeTarget: TargetKind = {
  owns: (route) => route === CASCADE_ROUTE,
  routes: () => [CASCADE_ROUTE],
  destination: ({ route }) => route,
  send,
  withheld: "a child group could not be cancelled",
  next: ({ retryAfterMs }) => (retryAfterMs === undefined ? {} : { notBeforeMs: retryAfterMs }),
};

/** The body of a delivery: which children, and the position of those that are left. */
interface Cascade {
  readonly chain: number;
  readonly lists: number;
  /** How long a child remembers the cancel of its parent, for a registration that comes later. */
  readonly ttlMs: number;
  readonly after?: number;
}

/** Cancels one page of children. A later attempt, due at once, continues: platforms limit the calls of one event. */
async function send(attempt: Attempt, host: DeliveryHost): Promise<string | undefined> {
  const { machine, id, claim, backend, signal } = attempt;
  const { chain, lists, ttlMs, after = 0 } = JSON.parse(claim.body) as Cascade;
  const page = await backend.run(`${machine}.children`, id, { chain, lists, after, limit: STEP }, { signal });
  for (let i = 0; i < page.items.length; i += AT_ONCE) {
    const children = page.items.slice(i, i + AT_ONCE);
    await Promise.all(children.map((child) => cancelChild(child, { ...attempt, ttlMs }, host)));
  }
  return page.next === undefined
    ? undefined
    : JSON.stringify({ chain, lists, ttlMs, after: page.next } satisfies Cascade);
}

/** A child of an open task. */
interface Child {
  readonly machine: "completion" | "request";
  readonly groupId: string;
  readonly stage?: string;
  readonly id: string;
}

async function cancelChild(
  child: Child,
  { machine, id, claim, signal, ttlMs }: Attempt & Pick<Cascade, "ttlMs">,
  { groups }: DeliveryHost,
): Promise<void> {
  const { stage } = child;
  const task = { machine, id, taskId: child.id, ...(stage === undefined ? {} : { stage }) };
  const input = {
    key: taskKey(task),
    generation: claim.generation,
    reason: `its parent ${id} has ended`,
    ttlMs,
  };
  await groups().run(`${child.machine}.cancelChild`, child.groupId, input, { signal });
}
