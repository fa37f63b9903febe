import type { Context } from "hono";
import { preferencesOf } from "../http/prefer.js";

/** How a client would like to be answered, as far as it is granted. */
export interface Wish {
  /** How long its response may be held back, from the arrival of the request; `undefined`: not at all. */
  readonly waitMs: number | undefined;
  /** It takes a 202, at once or when the wait is over. */
  readonly respondAsync: boolean;
  /** What `Preference-Applied` says of the wait; `undefined` when no preference asked for it. */
  readonly waitApplied: string | undefined;
}

/** `Prefer: wait=N` and `Prefer: respond-async`; where there is neither, `?wait=true&timeout=N`. In seconds. */
export function wishOf(c: Context, maxWaitMs: number): Wish {
  const { waitSec, respondAsync } = preferencesOf(c.req.header("prefer"));
  const sec = waitSec ?? (respondAsync ? undefined : queriedSec(c));
  const waitMs = sec === undefined ? undefined : Math.min(sec * 1000, maxWaitMs);
  const waitApplied = waitSec === undefined ? undefined : `wait=${Math.floor(Number(waitMs) / 1000)}`;
  return { waitMs, respondAsync, waitApplied };
}

function queriedSec(c: Context): number | undefined {
  if (c.req.query("wait") !== "true") return undefined;
  const timeout = c.req.query("timeout") ?? "";
  return /^\d+(\.\d+)?$/.test(timeout) ? Number(timeout) : Number.POSITIVE_INFINITY;
}
