import { preferencesOf } from "../src/http/prefer.js";
import { remainingMs } from "./capability/grants.js";
import type { AppContext } from "./context.js";

/** The longest wait, in seconds. */
export const MAX_WAIT_SEC = 60;

/** Returns how long the caller wants to wait, in seconds, at most `MAX_WAIT_SEC`; `undefined` when it asked for no wait. */
export function preferredWaitSec(header: string | undefined): number | undefined {
  const { waitSec } = preferencesOf(header);
  return waitSec === undefined ? undefined : Math.min(waitSec, MAX_WAIT_SEC);
}

/** Returns how long the caller may wait, in milliseconds: no longer than its token is valid. */
export function waitMsOf(c: AppContext, waitSec: number): number {
  return Math.min(waitSec * 1000, remainingMs(c));
}
