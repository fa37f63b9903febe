import { CoordinationError } from "../../../errors.js";
import { NoRoom } from "../../../runtime/size.js";
import type { ObjectReply } from "../protocol.js";

/** Returns the result of the work, or its error as a value. */
export function answer(work: () => object): ObjectReply {
  try {
    return { ok: true, output: work() };
  } catch (error) {
    return faultReply(error);
  }
}

/** Returns the result of work that may take a while, or its error as a value. */
export async function answerLater(work: () => Promise<object>): Promise<ObjectReply> {
  try {
    return { ok: true, output: await work() };
  } catch (error) {
    return faultReply(error);
  }
}

/** Returns an error without its cause, which may quote stored data. */
export function faultReply(error: unknown): ObjectReply {
  if (error instanceof CoordinationError) {
    return { ok: false, code: error.code, message: error.message, retryable: error.retryable };
  }
  return { ok: false, code: "backend_rejected", message: "the object failed", retryable: false };
}

/** Returns the reply for a call that was not run, because the answer is full. */
export function noRoomReply(): ObjectReply {
  const { code, message, retryable } = new NoRoom();
  return { ok: false, code, message, retryable, noRoom: true };
}
