import * as z from "zod/mini";
import { MAX_LIMIT, MAX_REFILL_MS, MAX_WINDOW_MS } from "../../src/core/limiter.js";
import { MAX_PERMITS } from "../../src/core/semaphore.js";
import { MAX_FINGERPRINT_BYTES, MAX_RUN_VALUE_BYTES } from "../../src/trackers/run-once.js";
import { byOp, id, text, ttlMs, whole } from "./fields.js";

const take = z
  .strictObject({
    limit: whole(1, MAX_LIMIT),
    windowMs: whole(1, MAX_WINDOW_MS),
    burst: whole(1, MAX_LIMIT),
    cost: whole(0, MAX_LIMIT),
  })
  .check(
    z.refine(({ cost, burst }) => cost <= burst, { path: ["cost"], error: "must be at most the burst" }),
    z.refine(({ burst, windowMs, limit }) => (burst * windowMs) / limit <= MAX_REFILL_MS, {
      path: ["burst"],
      error: "must refill within a year",
    }),
  );

/** The inputs of runs, permits and limits. */
export const TURNS = {
  "dedupe.begin": z.strictObject({
    op: id,
    leaseMs: ttlMs,
    windowMs: ttlMs,
    fingerprint: z.exactOptional(text(MAX_FINGERPRINT_BYTES)),
  }),
  "dedupe.renew": z.strictObject({ op: id, leaseMs: ttlMs, windowMs: ttlMs }),
  "dedupe.finish": z.strictObject({
    op: id,
    windowMs: ttlMs,
    value: z.exactOptional(text(MAX_RUN_VALUE_BYTES)),
  }),
  "dedupe.fail": byOp,
  "dedupe.forget": byOp,
  "dedupe.wait": z.strictObject({}),
  "semaphore.acquire": z.strictObject({
    op: id,
    permits: whole(1, MAX_PERMITS),
    leaseMs: ttlMs,
    queue: z.boolean(),
  }),
  "semaphore.extend": z.strictObject({ op: id, leaseMs: ttlMs }),
  "semaphore.release": byOp,
  "semaphore.leave": byOp,
  "semaphore.turn": byOp,
  "semaphore.status": z.strictObject({}),
  "limiter.take": take,
} as const;
