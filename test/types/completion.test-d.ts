import {
  type AckResult,
  type CompletionTarget,
  type CompletionTargets,
  CompletionTracker,
  type CompletionTrackerOptions,
  type HandlerEvent,
  type Handlers,
  type HandlerTarget,
  MemoryCoordinator,
  type RegisterOptions,
  RequestWaitTracker,
  type Task,
} from "../../src/index.js";

/** Checked by the compiler alone: what must not compile stands below `@ts-expect-error`. */

interface Env {
  readonly db: string;
}

const tracker = new CompletionTracker(new MemoryCoordinator(), {
  env: { db: "main" } satisfies Env,
  handlers: {
    finalize: (event: HandlerEvent<{ document: string }>) => void event.payload.document.length,
    ping: () => {},
    both: (event: HandlerEvent<number>, ctx) => {
      // The context's env is the tracker's.
      const name: string = ctx.env.db;
      // @ts-expect-error: there is no such field in env
      ctx.env.cache;
      return ctx.coordinator.incr(name, event.payload).then(() => undefined);
    },
  },
});

export async function handlersAreChecked(): Promise<void> {
  await tracker.register("g", 2, { onComplete: { handler: "finalize", payload: { document: "d1" } } });
  await tracker.register("g", ["a"], { onTimeout: { handler: "both", payload: 5 }, onEnd: { handler: "ping" } });
  await tracker.register("g", 2, {
    onComplete: { task: { groupId: "p", taskId: "g" } },
    onEnd: { url: "https://a.example" },
  });
  await tracker.register("g", 2, { onComplete: (status) => void status.groupId });
  // @ts-expect-error: no handler is called so
  await tracker.register("g", 2, { onComplete: { handler: "finalise", payload: { document: "d1" } } });
  // @ts-expect-error: the payload is of another type
  await tracker.register("g", 2, { onComplete: { handler: "finalize", payload: { document: 5 } } });
  // @ts-expect-error: the payload is another handler's
  await tracker.register("g", 2, { onComplete: { handler: "both", payload: { document: "d1" } } });
  // @ts-expect-error: the payload is missing
  await tracker.register("g", 2, { onComplete: { handler: "finalize" } });
  // @ts-expect-error: there is no such option
  await tracker.register("g", 2, { timeoutMs: 5 });
  // @ts-expect-error: restart is true or a generation
  await tracker.register("g", 2, { restart: 5 });
}

export async function growthIsChecked(): Promise<void> {
  await tracker.register("g", ["a", { stage: "parse", id: 5 }, { id: "b", group: "child" }], {
    open: true,
    complete: { minSuccessful: 1, toleratedFailureCount: 2, toleratedFailurePercentage: 50 },
    onSuccess: { handler: "ping" },
    onFailure: { task: { requestId: "r", stage: "parse", taskId: 1, generation: 2 } },
    idleTimeoutSec: "5m",
    parent: { groupId: "p", taskId: "g" },
    restart: { from: 1, keep: "succeeded" },
  });
  const { outcome, added, status } = await tracker.add("g", [{ id: "c", group: { requestId: "r" } }]);
  outcome satisfies "added" | "sealed" | "late" | "unknown";
  added.map(({ taskId, stage }) => [taskId satisfies string, stage satisfies string | null]);
  status?.state satisfies "open" | "completed" | "failed" | "timed_out" | "cancelled" | undefined;
  await tracker.ack("g", "a", { next: ["d", { stage: "embed", id: "d" }] });
  for await (const { version } of tracker.progress("g", { after: "1.2" })) version satisfies string;
  // @ts-expect-error: a policy has no such limit
  await tracker.register("g", ["a"], { complete: { maxFailures: 1 } });
  // @ts-expect-error: there is no such thing to keep
  await tracker.register("g", ["a"], { restart: { from: 1, keep: "failed" } });
  // @ts-expect-error: a parent is a group or a request
  await tracker.register("g", ["a"], { parent: { taskId: "g" } });
  // @ts-expect-error: a parent is a group or a request, not both
  await tracker.register("g", ["a"], { parent: { groupId: "p", requestId: "p", taskId: "g" } });
  // @ts-expect-error: a task target names its task
  await tracker.register("g", ["a"], { onEnd: { task: { groupId: "p" } } });
  // @ts-expect-error: a version is a text
  tracker.progress("g", { after: 1 });
}

export async function requestsAreChecked(): Promise<void> {
  const requests = new RequestWaitTracker(new MemoryCoordinator(), {
    stages: ["parse", "embed"],
    handlers: { done: (event: HandlerEvent<number>) => void event.payload },
  });
  await requests.register("r", { onEnd: { handler: "done", payload: 1 }, timeoutSec: "1h" });
  await requests.ack("r", "parse", "a", { processed: 2, next: [{ stage: "embed", taskIds: ["a", 2] }] });
  const status = await requests.status("r");
  status?.state satisfies "pending" | "complete" | "timed_out" | "cancelled" | undefined;
  status?.stages.embed.errors satisfies readonly { taskId: string | null; message: string }[] | undefined;
  // @ts-expect-error: there is no such stage
  await requests.ack("r", "parse", "a", { next: [{ stage: "publish", taskIds: "a" }] });
  // @ts-expect-error: there is no such stage
  await requests.add("r", "publish", "a");
  // @ts-expect-error: there is no such stage
  status?.stages.publish;
  // @ts-expect-error: a request has no policy
  await requests.register("r", { complete: { minSuccessful: 1 } });
  // @ts-expect-error: the payload is of another type
  await requests.register("r", { onEnd: { handler: "done", payload: "1" } });
  // @ts-expect-error: a request counts what it knows
  await requests.count("r", "parse", { failed: 1 });
}

export async function acksAreChecked(): Promise<void> {
  const one = await tracker.ack("g", "a");
  const many = await tracker.ack("g", ["a", { id: "b", result: 1 }, { id: "c", error: "broken" }]);
  one.verdict satisfies "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";
  many.map(({ ended }) => ended);
  const oneOrMany = (tasks: Task | readonly Task[]): Promise<AckResult | AckResult[]> => tracker.ack("g", tasks);
  // @ts-expect-error: it may be one, or many
  (await oneOrMany("a")).verdict;
  // @ts-expect-error: one result is no list
  one.map;
  // @ts-expect-error: a result and an error exclude each other's type
  await tracker.ack("g", { id: "c", error: 5 });
  // @ts-expect-error: a task needs an id
  await tracker.ack("g", { result: 1 });
}

/** A type's name without arguments means what the tracker means by its own. */
export function byNameAlone(
  options: CompletionTrackerOptions,
  registration: RegisterOptions,
  targets: CompletionTargets,
  onEnd: CompletionTarget,
  onTimeout: HandlerTarget,
): Promise<unknown> {
  const handlers: Handlers = { ping: (event) => void event.payload };
  const plain: CompletionTracker = new CompletionTracker(new MemoryCoordinator(), { handlers, ...options });
  return plain.register("g", 2, { ...registration, ...targets, onEnd, onTimeout });
}

// @ts-expect-error: there is no such option
new CompletionTracker(new MemoryCoordinator(), { timeoutMs: 5 });
// @ts-expect-error: the clock is a Clock
new MemoryCoordinator({ clock: Date });

export async function numberedTasksAreChecked(): Promise<void> {
  await tracker.register("g", { indexed: 1_000_000 });
  // @ts-expect-error: the number is the second argument
  await tracker.register("g", 5, { indexed: true });
  // @ts-expect-error: numbered tasks have a number
  await tracker.register("g", { indexed: true });
}
