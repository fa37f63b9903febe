import * as z from "zod/mini";
import { count, generation, instant, orNull, text, told } from "./fields.js";
import { ackResult, addAnswer, delivery, groupError, groupParent, retryAnswer, stageCounts } from "./groups.js";
import { listed, listPage } from "./lists.js";

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
