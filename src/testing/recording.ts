import type { Handler, HandlerEvent, Handlers } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import { RequestWaitTracker } from "../trackers/request-wait.js";
import { refusing } from "./faults.js";

const SECRET = "connect failed: postgres://app:s3cret@db.internal/app";

/** The cases' handlers with their payloads. No instance has the handler `nobody`. */
export type CasePayloads = {
  /** Records the event. */
  record: unknown;
  /** Records the event, and throws in its first attempts. */
  flaky: { failures: number; message?: string };
  /** Records the event. In its first attempts it throws the error of a backend that refuses. */
  unlucky: { failures: number };
  /** Acks the task `chunks` of a request's stage `embed`. In its first attempts the backend refuses the ack. */
  marking: { requestId: string; failures: number };
  /** Adds 1 to a raw key of the coordinator in its context. */
  counting: { key: string };
  /** Throws in every attempt: an error with a secret, or one that the status may show. */
  leaking: { as: "Error" | "text" | "CoordinationError" };
  nobody: unknown;
};

/** One call of a handler. */
export interface RecordedDelivery {
  readonly handler: string;
  readonly groupId: string;
  readonly event: HandlerEvent;
}

/**
 * Returns the handlers that the cases name. Where a backend runs handlers inside itself, its test registers these there, and
 * passes what they recorded to the harness.
 */
export function caseHandlers(log: (delivery: RecordedDelivery) => void): Handlers<CasePayloads, unknown> {
  const writing =
    <Payload>(handler: string, then: Handler<Payload> = () => {}): Handler<Payload> =>
    (event, ctx) => {
      log({ handler, groupId: event.status.groupId, event });
      return then(event, ctx);
    };
  return {
    record: writing("record"),
    flaky: writing("flaky", ({ attempt, payload }) => {
      if (attempt > payload.failures) return;
      // The status may show this message.
      throw new CoordinationError("backend_rejected", payload.message ?? `attempt ${attempt} failed`);
    }),
    unlucky: writing("unlucky", ({ attempt, payload }) => {
      if (attempt > payload.failures) return;
      throw new CoordinationError("backend_rejected", "the backend refused");
    }),
    marking: writing("marking", async ({ attempt, payload }, { coordinator }) => {
      const on = attempt <= payload.failures ? refusing(coordinator) : coordinator;
      await new RequestWaitTracker(on, { stages: ["embed"] }).ack(payload.requestId, "embed", "chunks");
    }),
    leaking: writing("leaking", ({ payload }) => {
      if (payload.as === "text") throw SECRET;
      if (payload.as === "Error") throw new Error(SECRET);
      throw new CoordinationError("backend_rejected", "the index is read-only", { cause: new Error(SECRET) });
    }),
    counting: writing("counting", async ({ payload }, { coordinator }) => {
      await coordinator.incr(payload.key);
    }),
  };
}
