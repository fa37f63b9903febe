import type { Context } from "hono";
import { preferencesOf } from "../http/prefer.js";

/** How the client wants to be answered, within the server's limits. */
export interface Wish {
  /** How long the response may be held back, in milliseconds from the arrival of the request; `undefined`: not at all. */
  readonly waitMs: number | undefined;
  /** True: the client accepts a 202, at once or when the wait is over. */
  readonly respondAsync: boolean;
  /** The wait for `Preference-Applied`; `undefined` when the client sent no such preference. */
  readonly waitApplied: string | undefined;
}

/** Reads `Prefer: wait=N` and `Prefer: respond-async`; without them, `?wait=true&timeout=N`. In seconds. */
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
