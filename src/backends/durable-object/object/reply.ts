import { CoordinationError } from "../../../errors.js";
import { NoRoom } from "../../../runtime/size.js";
import type { ObjectReply } from "../protocol.js";

/** Returns what the work returned, or the fault that it ended in, as a value. */
export function answer(work: () => object): ObjectReply {
  try {
    return { ok: true, output: work() };
  } catch (error) {
    return faultReply(error);
  }
}

/** Errors without their causes, which may quote what was stored. */
export function faultReply(error: unknown): ObjectReply {
  if (error instanceof CoordinationError) {
    return { ok: false, code: error.code, message: error.message, retryable: error.retryable };
  }
  return { ok: false, code: "backend_rejected", message: "the object failed", retryable: false };
}

/** The reply to a call that was not run, since the answer has no room for it. */
export function noRoomReply(): ObjectReply {
  const { code, message, retryable } = new NoRoom();
  return { ok: false, code, message, retryable, noRoom: true };
}
