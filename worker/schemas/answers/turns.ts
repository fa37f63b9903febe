import * as z from "zod/mini";
import { count, text, told } from "./fields.js";

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
