import * as z from "zod/mini";
import { MAX_INDEXED } from "../../src/core/group/task-set.js";
import { MAX_ITEMS } from "../../src/core/kv.js";
import { MAX_PAGE_BYTES } from "../../src/core/limits.js";
import { handlerOf, isWebhook, REQUEST_ROUTE } from "../../src/core/outbox/routes.js";
import type { InputOf } from "../../src/core/registry.js";
import { MAX_STAGES } from "../../src/core/request/record.js";
import { newOp } from "../../src/lib/ids.js";
import { MAX_ID_BYTES, MAX_ITEM_BYTES, MAX_SEC, MAX_VALUE_BYTES } from "../../src/lib/validate.js";
import type { PublicTransition } from "../../src/runtime/access.js";
import { MAX_ROOTS_A_CALL } from "../../src/trackers/request-wait.js";
import { MAX_ACKS, MAX_ERROR_BYTES, MAX_RESULT_BYTES } from "../../src/trackers/task.js";
import { isStorableJson } from "../json.js";
import {
  count,
  generation,
  id,
  jsonText,
  list,
  MAX_METADATA_BYTES,
  MAX_PAGE,
  MAX_TOTAL,
  MAX_URL_BYTES,
  matching,
  notBoth,
  requestRoot,
  rootIds,
  stage,
  taskIds,
  text,
  ttlMs,
  version,
  whole,
} from "./fields.js";

/** The most members or items of one write of a raw key. */
const MAX_BATCH = 10_000;
/** The most ids that a record of counts may track. */
const MAX_TRACKED = 64_000;

const nothing = z.strictObject({});
const byOp = z.strictObject({ op: id });
const write = { op: id, ttlMs };
/** The largest size of a page, in bytes. */
const pageBytes = z.exactOptional(whole(1, MAX_PAGE_BYTES));

// ---- Groups ----

const target = z.strictObject({ route: text(MAX_URL_BYTES), body: text(MAX_VALUE_BYTES) }).check(
  z.refine(isDeliverable, {
    error: "must be a URL, a named handler with its payload as JSON text, or a request's root as JSON text",
  }),
);

function isDeliverable({ route, body }: { readonly route: string; readonly body: string }): boolean {
  if (isWebhook(route)) return URL.canParse(body);
  if (route === REQUEST_ROUTE) return isRootText(body);
  const handler = handlerOf(route);
  return handler !== undefined && z.safeParse(id, handler).success && isStorableJson(body);
}

/** Checks the body of a request's root, since the deliverer reads it unchecked. */
function isRootText(body: string): boolean {
  try {
    return z.safeParse(requestRoot, JSON.parse(body)).success;
  } catch {
    return false;
  }
}

const registration = z
  .strictObject({
    op: id,
    spec: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
    total: whole(0, MAX_TOTAL),
    tasks: z.exactOptional(taskIds),
    indexed: z.exactOptional(z.literal(true)),
    timeoutMs: whole(0, MAX_SEC * 1000),
    ttlMs,
    /** Sent by trackers, and ignored: see `register`. */
    deliveryId: z.exactOptional(z.unknown()),
    targets: z.exactOptional(
      z.strictObject({
        complete: z.exactOptional(target),
        timeout: z.exactOptional(target),
        end: z.exactOptional(target),
      }),
    ),
    metadata: z.exactOptional(jsonText(MAX_METADATA_BYTES)),
    restart: z.exactOptional(z.strictObject({ from: z.exactOptional(generation) })),
  })
  .check(
    z.refine(({ total, tasks }) => tasks === undefined || tasks.length === total, {
      path: ["total"],
      error: "must be the number of tasks",
    }),
    z.refine(({ total, tasks, indexed }) => indexed !== true || (tasks === undefined && total <= MAX_INDEXED), {
      path: ["indexed"],
      error: `must come with a total of at most ${MAX_INDEXED}, and without tasks`,
    }),
  );

/**
 * Sets the delivery id. Receivers drop messages with a known delivery id, whatever their sender. So the Worker creates it,
 * and a caller cannot use another caller's id. When a call is sent several times, the first stored copy's id is used.
 */
const register = z.pipe(
  registration,
  z.transform((input) => ({ ...input, deliveryId: `msg_${newOp()}` })),
);

const taskAck = z
  .strictObject({
    id,
    result: z.exactOptional(jsonText(MAX_RESULT_BYTES)),
    error: z.exactOptional(text(MAX_ERROR_BYTES)),
  })
  .check(z.refine(notBoth, { error: "must not have both a result and an error" }));

// ---- Requests ----

const roots = z.strictObject({ stage, roots: rootIds });
type Roots = z.output<typeof roots>;

const next = list(roots, 1, MAX_STAGES).check(
  z.refine((stages: readonly Roots[]) => stages.reduce((sum, each) => sum + each.roots.length, 0) <= MAX_ROOTS_A_CALL, {
    error: `must name at most ${MAX_ROOTS_A_CALL} roots in all`,
  }),
);

const mark = z
  .strictObject({
    op: id,
    stage,
    root: id,
    processed: count,
    error: z.exactOptional(text(MAX_ERROR_BYTES)),
    next: z.exactOptional(next),
    begunBeforeMs: z.exactOptional(whole(0, Number.MAX_SAFE_INTEGER)),
  })
  .check(
    z.refine(({ processed, error, next }) => error === undefined || (processed === 0 && next === undefined), {
      path: ["error"],
      error: "must stand with processed 0, and without next",
    }),
  );

const record = z
  .strictObject({
    op: id,
    stage,
    processed: z.exactOptional(count),
    requeued: z.exactOptional(count),
    error: z.exactOptional(text(MAX_ERROR_BYTES)),
  })
  .check(
    z.refine(({ processed, requeued, error }) => (processed ?? requeued ?? error) !== undefined, {
      error: "must have processed, requeued or error",
    }),
  );

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
  "completion.register": register,
  "completion.ack": z.strictObject({
    op: id,
    tasks: list(taskAck, 1, MAX_ACKS),
    generation: z.exactOptional(generation),
    earlyTtlMs: ttlMs,
    view: z.exactOptional(z.boolean()),
  }),
  "completion.decrement": z.strictObject({
    op: id,
    by: whole(1, MAX_TOTAL),
    generation: z.exactOptional(generation),
  }),
  "completion.cancel": z.strictObject({ reason: text(MAX_ERROR_BYTES), generation: z.exactOptional(generation) }),
  "completion.status": nothing,
  "completion.wait": z.strictObject({
    generation: z.exactOptional(generation),
    background: z.exactOptional(z.boolean()),
  }),
  "completion.results": z.strictObject({
    after: whole(0, MAX_TOTAL),
    limit: whole(1, MAX_PAGE),
    bytes: pageBytes,
  }),
  "completion.take": z.strictObject({ op: id, generation }),
  "completion.redeliver": z.strictObject({ op: id, generation: z.exactOptional(generation) }),
  // A shorter TTL would expire between two polls of a waiter, which keeps the request alive.
  "request.register": z.strictObject({ op: id, ttlMs: whole(1_000, MAX_SEC * 1000) }),
  "request.roots": z.strictObject({ op: id, stage, roots: rootIds }),
  "request.seal": byOp,
  "request.abandon": z.strictObject({ op: id, caller: id, stage, error: text(MAX_ERROR_BYTES) }),
  "request.mark": mark,
  "request.record": record,
  "request.status": nothing,
  "request.wait": nothing,
  "request.progress": z.strictObject({ after: version }),
  "request.cleanup": byOp,
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
};
