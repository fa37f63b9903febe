import * as z from "zod/mini";
import { count, generation, instant, orNull, text, told, version } from "./fields.js";
import { listed, listPage } from "./lists.js";

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

export const groupError = z.strictObject({
  taskId: told(orNull(text), "null for an error that ended no task"),
  stage: orNull(text),
  message: text,
});

export const groupParent = z.strictObject({
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

export const groupList = z.strictObject({
  items: z.array(z.strictObject({ groupId: text, state: groupState, ...listed })),
  ...listPage,
});
