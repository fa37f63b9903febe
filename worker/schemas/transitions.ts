import * as z from "zod/mini";
import { MAX_BATCH } from "../../src/coordinator.js";
import { MAX_ITEMS } from "../../src/core/kv.js";
import type { InputOf } from "../../src/core/registry.js";
import { MAX_ID_BYTES, MAX_ITEM_BYTES } from "../../src/lib/validate.js";
import type { PublicTransition } from "../../src/runtime/access.js";
import { byOp, count, id, list, nothing, pageBytes, text, ttlMs, version, whole, write } from "./fields.js";
import { GROUPS } from "./groups.js";
import { TURNS } from "./turns.js";

/** The most ids that a record of counts may track. */
const MAX_TRACKED = 64_000;

/** The input schema of every transition that a client may run, as strict as the trackers. Add new transitions here. */
export const INPUTS: { readonly [N in PublicTransition]: z.ZodMiniType<InputOf<N>> } = {
  "kv.incr": z.strictObject({ ...write, delta: whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) }),
  "kv.getInt": nothing,
  "kv.setIfAbsent": z.strictObject(write),
  "kv.sadd": z.strictObject({ ...write, members: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.srem": z.strictObject({ ...write, members: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.scard": nothing,
  "kv.rpush": z.strictObject({ ...write, values: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.lrange": z.strictObject({
    from: z.exactOptional(whole(0, MAX_ITEMS)),
    life: z.exactOptional(text(MAX_ID_BYTES)),
    bytes: pageBytes,
  }),
  "kv.expire": z.strictObject({ ttlMs }),
  "kv.delete": byOp,
  ...GROUPS,
  "coalesce.next": z.strictObject({ ...write, held: z.exactOptional(z.boolean()) }),
  "coalesce.seen": z.strictObject({ version, ttlMs }),
  "dedupe.claim": z.strictObject(write),
  "dedupe.release": z.strictObject({ op: id, holder: z.exactOptional(id) }),
  "stats.merge": z.strictObject({
    ...write,
    id,
    processed: count,
    requeueCount: count,
    errorCount: count,
    maxTracked: whole(1, MAX_TRACKED),
  }),
  "stats.consume": z.strictObject({ op: id, id }),
  ...TURNS,
};
