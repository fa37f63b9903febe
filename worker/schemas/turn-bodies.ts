import * as z from "zod/mini";
import { MAX_LIMIT, MAX_WINDOW_MS } from "../../src/core/limiter.js";
import { MAX_PERMITS } from "../../src/core/semaphore.js";
import { MAX_LEASE_SEC, MIN_LEASE_SEC } from "../../src/trackers/held-lease.js";
import { MAX_NAMESPACE_BYTES } from "../../src/trackers/small-key.js";
import { described } from "./described.js";
import { id, text, whole } from "./fields.js";

const between = (min: number, max: number) =>
  described(
    z
      .number()
      .check(z.refine((value) => value >= min && value <= max, { error: `must be a number from ${min} to ${max}` })),
    { minimum: min, maximum: max },
  );

const namespace = z.exactOptional(
  text(MAX_NAMESPACE_BYTES).check(z.refine((value) => value !== "", { error: "must not be empty" })),
);
const leaseSec = z.exactOptional(between(MIN_LEASE_SEC, MAX_LEASE_SEC));

/** The body of `POST /v1/semaphores/:key/acquire`. */
export const acquireBody = z.strictObject({
  permits: whole(1, MAX_PERMITS),
  leaseSec,
  permitId: z.exactOptional(id),
  namespace,
});

/** The body of `POST /v1/semaphores/:key/extend`. */
export const extendPermitBody = z.strictObject({ permitId: id, leaseSec, namespace });

/** The body of `POST /v1/semaphores/:key/release`. */
export const releaseBody = z.strictObject({ permitId: id, namespace });

/** The query of `GET /v1/semaphores/:key`. */
export const semaphoreQuery = z.strictObject({ namespace });

/** The body of `POST /v1/limits/:key`. */
export const limitBody = z.strictObject({
  limit: whole(1, MAX_LIMIT),
  windowSec: between(0.001, MAX_WINDOW_MS / 1000),
  burst: z.exactOptional(whole(1, MAX_LIMIT)),
  cost: z.exactOptional(whole(0, MAX_LIMIT)),
  namespace,
});
