import type { GroupView } from "../../core/group/view.js";
import { MAX_BRIEF_BYTES, MAX_ERROR_BYTES } from "../../core/limits.js";
import { TASK_ROUTE } from "../../core/outbox/routes.js";
import { CoordinationError } from "../../errors.js";
import { shortText } from "../../lib/validate.js";
import { type StoredTask, storedTask } from "./parent-task.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

/** A task of another group or request, which the end of the group settles. */
export const taskTarget: TargetKind = {
  named: {
    field: "task",
    form: "{ task }",
    store: (target, field) => {
      const task = storedTask((target as { readonly task: unknown }).task, `${field}.task`);
      return { route: TASK_ROUTE, body: JSON.stringify(task) };
    },
  },
  owns: (route) => route === TASK_ROUTE,
  routes: () => [TASK_ROUTE],
  destination: ({ route }) => route,
  send,
  withheld: "the parent's task could not be settled",
  // Only these two stay as they are. Other errors, such as a missing binding or token, the next deployment may mend.
  next: ({ code, retryAfterMs }) => ({
    ...(code === "limit_exceeded" || code === "conflict" ? { final: true } : {}),
    ...(retryAfterMs === undefined ? {} : { notBeforeMs: retryAfterMs }),
  }),
};

/** Acks the task when the group succeeded, and fails it otherwise. */
async function send({ id, claim, signal, traceparent }: Attempt, { groups }: DeliveryHost): Promise<undefined> {
  const task = JSON.parse(claim.body) as StoredTask;
  const { generation } = task;
  // If this ack ends the parent, its deliveries link to what ended this group.
  const cause = traceparent ?? claim.endTrace ?? claim.registerTrace;
  const error = failureAtEnd(id, JSON.parse(claim.snapshot) as GroupView);
  const input = {
    // The delivery's id is the idempotency key: of many attempts one counts.
    op: claim.deliveryId,
    tasks: [{ id: task.taskId, ...(task.stage === undefined ? {} : { stage: task.stage }), ...errorOf(error) }],
    earlyTtlMs: 0,
    ...(generation === undefined ? {} : { generation }),
    ...(cause === undefined ? {} : { traceparent: cause }),
  };
  const { results, refused } = await groups().run(`${task.machine}.ack`, task.id, input, { signal });
  if (refused !== undefined)
    throw new CoordinationError("limit_exceeded", `the parent has no room for more ${refused}`);
  const [result] = results;
  if (result?.verdict !== "unknown") return undefined;
  if (result.state === "unregistered") {
    throw new CoordinationError("backend_rejected", "the parent is not registered", { retryable: true });
  }
  // The parent was restarted: its new generation does not wait for this group.
  if (generation !== undefined && result.generation !== generation) return undefined;
  throw new CoordinationError("conflict", "the parent has no such task");
}

function errorOf(error: string | undefined): { error?: string; brief?: string; processed?: number } {
  if (error === undefined) return { processed: 1 };
  const brief = shortText(error, "error", MAX_BRIEF_BYTES);
  return brief === error ? { error } : { error, brief };
}

/** Returns the error of the parent's task; `undefined` when the group completed under its policy, or without failures. */
function failureAtEnd(id: string, { state, reason, failed, total, errors, hasPolicy }: GroupView): string | undefined {
  if (state === "completed" && (failed === 0 || hasPolicy === true)) return undefined;
  const first = Array.isArray(errors) ? errors[0]?.message : undefined;
  const why =
    state === "cancelled" || state === "timed_out" ? reason : `${failed} of ${total} tasks failed: ${first ?? ""}`;
  return shortText(`${id} ${state}: ${why ?? ""}`, "error", MAX_ERROR_BYTES);
}
