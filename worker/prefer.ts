import { preferencesOf } from "../src/http/prefer.js";

/** The longest wait that is granted, in seconds. */
export const MAX_WAIT_SEC = 60;

/** How long the caller would like to wait, in seconds, as far as it is granted; `undefined` when no wait was asked for. */
export function preferredWaitSec(header: string | undefined): number | undefined {
  const { waitSec } = preferencesOf(header);
  return waitSec === undefined ? undefined : Math.min(waitSec, MAX_WAIT_SEC);
}
