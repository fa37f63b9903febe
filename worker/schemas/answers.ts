import * as z from "zod/mini";
import type { ProblemCode } from "../../src/http/problem.js";
import { described } from "./described.js";

/**
 * The answers of the HTTP API. The Worker does not check its own answers with them: they describe it in `/openapi.json`, and
 * the tests hold every answer of the Worker against them.
 */

const text = z.string();
const orNull = <Schema extends z.ZodMiniType>(schema: Schema) => z.nullable(schema);
const told = <Schema extends z.ZodMiniType>(schema: Schema, description: string) => described(schema, { description });
const count = (description: string) => described(z.int(), { description, minimum: 0 });
const instant = (description: string) =>
  described(z.int(), { description: `${description}, in milliseconds since 1970` });

const generation = count("which registration of the id this is; grows with every restart");
const version = told(text, "differs after every change; the id of an event of the stream");

// ---- Problems ----

const CODES = {
  malformed: true,
  unauthorized: true,
  forbidden: true,
  suspended: true,
  not_found: true,
  method_not_allowed: true,
  request_timeout: true,
  conflict: true,
  gone: true,
  too_large: true,
  unsupported_media_type: true,
  invalid_input: true,
  limit_exceeded: true,
  rate_limited: true,
  internal: true,
  misconfigured: true,
  unsupported: true,
  backend_rejected: true,
  backend_unavailable: true,
  wait_timeout: true,
} as const satisfies Record<ProblemCode, true>;

export const problem = z.strictObject({
  type: told(text, "`about:blank`: the status code says it all; `code` says more. Else `…#quota-exceeded`"),
  title: text,
  status: z.int(),
  detail: told(text, "for people; holds no value that the caller sent"),
  code: told(z.enum(Object.keys(CODES) as [ProblemCode, ...ProblemCode[]]), "for programs; never changes its meaning"),
  retryable: told(z.boolean(), "the same call may succeed later"),
  applied: told(z.enum(["no", "unknown"]), "`unknown`: the call may have been applied"),
  "violated-policies": z.exactOptional(told(z.array(text), "the quotas that were reached")),
});

// ---- Groups ----

export const groupState = z.enum(["open", "completed", "failed", "timed_out", "cancelled"]);

export const delivery = z.strictObject({
  state: told(z.enum(["none", "pending", "delivered", "dead"]), "`dead`: a dead letter, until it is redelivered"),
  deliveryId: told(orNull(text), "the same in every attempt; the header `webhook-id`"),
  attempts: count("how many attempts began"),
  lastError: told(orNull(text), "why the last attempt failed, or why none was made"),
  nextAttemptAtMs: orNull(instant("when the next attempt is due")),
});

export const stageCounts = z.strictObject({
  total: count("how many tasks of the stage were announced"),
  open: count("how many of them are open"),
  succeeded: z.int(),
  failed: z.int(),
  processed: z.int(),
  requeueCount: z.int(),
  errorCount: z.int(),
});

const groupError = z.strictObject({
  taskId: told(orNull(text), "null for an error that ended no task"),
  stage: orNull(text),
  message: text,
});

const groupParent = z.strictObject({
  groupId: told(orNull(text), "the parent, where it is a group"),
  requestId: told(orNull(text), "the parent, where it is a request"),
  stage: orNull(text),
  taskId: told(text, "the parent's task, which this end settles"),
  generation: told(orNull(generation), "the parent's generation, where the registration named it"),
});

export const groupStatus = z.strictObject({
  groupId: text,
  generation,
  version,
  state: told(groupState, "every state but `open` is final"),
  ok: told(z.boolean(), "the group is completed, and no task failed"),
  completionReason: orNull(z.enum(["all_completed", "min_successful_reached", "failure_tolerance_exceeded"])),
  reason: told(orNull(text), "why it timed out or was cancelled"),
  sealed: told(z.boolean(), "it takes no more tasks, except those that acks hand on to"),
  total: count("how many tasks were announced"),
  succeeded: z.int(),
  failed: z.int(),
  remaining: told(z.int(), "how many tasks neither succeeded nor failed"),
  errors: told(z.array(groupError), "the first 20 errors, each up to 256 bytes"),
  errorCount: z.int(),
  stages: told(z.record(text, stageCounts), "empty where tasks have no stages"),
  metadata: told(z.unknown(), "the registration's metadata; null without any"),
  parent: told(orNull(groupParent), "the task of another group or request that waits for this one"),
  registeredAtMs: instant("when it was registered"),
  deadlineAtMs: orNull(instant("when it times out")),
  lastAckAtMs: orNull(instant("when a task was last counted")),
  endedAtMs: orNull(instant("when it ended")),
  delivery,
});

export const ackResult = z.strictObject({
  verdict: told(
    z.enum(["accepted", "duplicate", "early", "late", "cancelled", "unknown"]),
    "`early`: kept until the task is announced. `late`: the group had ended. `unknown`: no such task, and nothing is kept",
  ),
  state: z.enum([...groupState.options, "unregistered"]),
  ended: told(z.boolean(), "this ack ended the group"),
  remaining: orNull(z.int()),
  generation: orNull(generation),
});

const namedTask = z.strictObject({ taskId: text, stage: orNull(text) });

export const acksAnswer = z.strictObject({
  results: told(z.array(ackResult), "one for each task, in their order"),
  status: orNull(groupStatus),
});

export const addAnswer = z.strictObject({
  outcome: told(z.enum(["added", "sealed", "late", "unknown"]), "`late`: the group had ended"),
  added: told(z.array(namedTask), "the tasks that are new and open: start their work now"),
  status: orNull(groupStatus),
});

export const retryAnswer = z.strictObject({
  outcome: z.enum(["retried", "late", "unknown"]),
  reopened: told(z.array(namedTask), "the tasks that had failed and are open again"),
  status: orNull(groupStatus),
});

export const heartbeatAnswer = z.strictObject({
  alive: told(z.boolean(), "the group is open, or not registered yet: work for it is worth doing"),
  state: z.enum([...groupState.options, "unregistered"]),
});

export const decrementAnswer = z.strictObject({ remaining: z.int() });

const next = told(orNull(z.int()), "the `after` of the next page; null on the last page");

export const taskPage = z.strictObject({
  items: z.array(
    z.strictObject({
      taskId: text,
      stage: orNull(text),
      state: z.enum(["open", "succeeded", "failed"]),
      error: orNull(text),
    }),
  ),
  next,
});

export const childPage = z.strictObject({
  items: z.array(
    z.strictObject({
      taskId: text,
      stage: orNull(text),
      groupId: told(orNull(text), "the child, where it is a group"),
      requestId: told(orNull(text), "the child, where it is a request"),
    }),
  ),
  next,
});

export const resultPage = z.strictObject({
  items: z.array(z.strictObject({ taskId: text, stage: orNull(text), result: z.unknown() })),
  next,
});

const listed = {
  generation,
  total: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  registeredAtMs: instant("when it was registered"),
  deadlineAtMs: orNull(instant("when it times out")),
  lastAckAtMs: orNull(instant("when a task was last counted")),
  endedAtMs: orNull(instant("when it ended")),
  delivery: told(orNull(z.enum(["pending", "unhandled", "dead"])), "the worst delivery that it owes; null for none"),
};
const listPage = {
  next: told(orNull(text), "the `after` of the next page; null on the last page"),
  asOfMs: instant("the time at which the list had this content"),
};

export const groupList = z.strictObject({
  items: z.array(z.strictObject({ groupId: text, state: groupState, ...listed })),
  ...listPage,
});

// ---- Requests ----

export const requestState = z.enum(["pending", "complete", "timed_out", "cancelled"]);

export const requestStatus = z.strictObject({
  id: text,
  state: told(requestState, "`complete`: no announced task is open"),
  final: told(z.boolean(), "the state cannot change any more"),
  open: count("how many announced tasks are open"),
  queueStatus: told(
    z.record(
      text,
      z.extend(z.omit(stageCounts, { succeeded: true, failed: true }), {
        errors: z.array(z.omit(groupError, { stage: true })),
      }),
    ),
    "the counts by stage",
  ),
  reason: told(orNull(text), "why it timed out or was cancelled"),
  sealed: told(z.boolean(), "it takes no more tasks, except those that acks hand on to"),
  generation,
  parent: told(orNull(groupParent), "the task of another group or request that waits for this one"),
  registeredAtMs: instant("when it was registered"),
  deadlineAtMs: orNull(instant("when it times out")),
  endedAtMs: orNull(instant("when it ended")),
  delivery,
});

export const requestList = z.strictObject({
  items: z.array(z.strictObject({ requestId: text, state: requestState, final: z.boolean(), ...listed })),
  ...listPage,
});

export const requestAddAnswer = z.strictObject({
  outcome: addAnswer.shape.outcome,
  added: told(z.array(text), "the ids of the tasks that are new and open: start their work now"),
  state: z.enum([...requestState.options, "unknown"]),
});

export const requestRetryAnswer = z.strictObject({
  outcome: retryAnswer.shape.outcome,
  reopened: told(z.array(text), "the ids of the tasks that had failed and are open again"),
});

export const requestResult = z.strictObject({
  verdict: ackResult.shape.verdict,
  state: z.enum([...requestState.options, "unknown"]),
});

// ---- Capabilities and callback URLs ----

const expiresAtMs = instant("when it expires");

export const capability = z.strictObject({
  token: told(text, "for `Authorization: Bearer`; never put it into a URL"),
  expiresAtMs,
});

export const callbackUrl = z.strictObject({ url: told(text, "POST any body to it"), expiresAtMs });

export const callbackAnswer = z.strictObject({
  outcome: told(
    z.enum(["accepted", "duplicate", "early", "heartbeat"]),
    "`early`: kept until the task is announced. `heartbeat`: nothing is settled",
  ),
});

// ---- Permits and limits ----

const fencingToken = count("grows with every permit of the key");

export const acquireAnswer = z.strictObject({
  outcome: told(
    z.enum(["granted", "busy", "queued", "over"]),
    "`queued`: the place in line is kept, call again. `over`: this permit was released, or its lease has ended",
  ),
  permitId: z.exactOptional(text),
  fencingToken: z.exactOptional(fencingToken),
  expiresInMs: z.exactOptional(z.number()),
  retryAfterMs: z.exactOptional(told(z.number(), "until the first lease ends; 0: unknown")),
});

export const extendPermitAnswer = z.strictObject({ held: z.boolean() });

export const releaseAnswer = z.strictObject({ released: z.boolean() });

export const semaphoreStatus = z.strictObject({
  holders: told(
    z.array(z.strictObject({ permitId: text, fencingToken, expiresInMs: z.number() })),
    "in the order of their grants",
  ),
  waiters: told(
    z.array(
      z.strictObject({
        permitId: text,
        offered: told(z.boolean(), "a permit is kept for this caller"),
        silentMs: told(z.number(), "how long ago the caller last looked"),
      }),
    ),
    "the first 100 in line, in their order",
  ),
  waiting: count("how many callers are in line"),
  lastFencingToken: fencingToken,
});

export const limitAnswer = z.strictObject({
  allowed: z.boolean(),
  limit: z.int(),
  remaining: count("how many calls of cost 1 would be allowed now"),
  resetMs: count("until the full burst is available"),
  retryAfterMs: count("until this call's cost would be allowed"),
});

// ---- Transitions ----

export const output = z.strictObject({
  protocol: z.literal(1),
  output: told(z.unknown(), "null: the time of a watch is over"),
});

export const outcomes = z.strictObject({
  protocol: z.literal(1),
  outcomes: z.array(
    z.union([
      z.strictObject({ output: z.unknown() }),
      z.strictObject({
        problem,
        retryAfterSec: z.exactOptional(z.int()),
        noRoom: z.exactOptional(told(z.boolean(), "the answer of the batch was full: send the operation again")),
      }),
    ]),
  ),
});

// ---- The Worker ----

export const tenant = z.strictObject({
  tenant: told(orNull(text), "null: the data of COORDINATOR_TOKEN"),
  suspended: told(z.boolean(), "whether COORDINATOR_SUSPENDED names the tenant"),
});

export const health = z.strictObject({
  status: told(z.enum(["ok", "degraded"]), "`degraded`: a variable is missing or malformed"),
  version: text,
  misconfigured: z.exactOptional(told(z.array(text), "the names of those variables")),
});
