import * as z from "zod/mini";
import { MAX_INDEXED } from "../../src/core/group/task-set.js";
import { MAX_STAGES } from "../../src/core/request/record.js";
import { MAX_ROOTS_A_CALL } from "../../src/trackers/request-wait.js";
import { MAX_ACKS } from "../../src/trackers/task.js";
import {
  count,
  generation,
  id,
  list,
  MAX_PAGE,
  MAX_TOTAL,
  MAX_URL_BYTES,
  notBoth,
  requestRoot,
  rootIds,
  seconds,
  stage,
  taskId,
  taskIds,
  text,
  ttlSeconds,
  whole,
} from "./fields.js";

// ---- Transitions ----

/** The most operations of one batch. */
const MAX_OPERATIONS = 100;

/** The body of `/v1/run`. */
export const runBody = z.strictObject({ id, input: z.unknown() });

/** The body of `/v1/batch`. Operations are checked one by one: an invalid operation fails alone. */
export const batchBody = z.strictObject({ operations: list(z.unknown(), 1, MAX_OPERATIONS) });

/** One operation of a batch. */
export const operationBody = z.extend(runBody, { transition: z.string() });

/** The body of `/v1/watch`. */
export const watchBody = z.strictObject({ id, input: z.unknown(), timeoutMs: z.exactOptional(whole(0, 25_000)) });

// ---- Groups ----

const groupTarget = z
  .strictObject({
    url: z.exactOptional(text(MAX_URL_BYTES)),
    handler: z.exactOptional(id),
    payload: z.exactOptional(z.unknown()),
    requestRoot: z.exactOptional(requestRoot),
  })
  .check(z.refine(isOneTarget, { error: "must be { url }, { handler, payload } or { requestRoot }" }));

function isOneTarget({ url, handler, payload, requestRoot }: Readonly<Record<string, unknown>>): boolean {
  const kinds = [url, handler, requestRoot].filter((kind) => kind !== undefined);
  return kinds.length === 1 && (payload === undefined || handler !== undefined);
}

/** The body of `PUT /v1/groups/:id`. */
export const groupBody = z
  .strictObject({
    total: z.exactOptional(whole(0, MAX_TOTAL)),
    tasks: z.exactOptional(taskIds),
    indexed: z.exactOptional(z.boolean()),
    onComplete: z.exactOptional(groupTarget),
    onTimeout: z.exactOptional(groupTarget),
    onEnd: z.exactOptional(groupTarget),
    metadata: z.exactOptional(z.unknown()),
    timeoutSec: z.exactOptional(seconds(0)),
    ttlSec: z.exactOptional(ttlSeconds),
    restart: z.exactOptional(
      z.union([z.literal(true), z.strictObject({ from: generation })], {
        error: "must be true or { from: generation }",
      }),
    ),
  })
  .check(
    z.refine(({ total, tasks }) => (total === undefined) !== (tasks === undefined), {
      error: "must have total or tasks, and not both",
    }),
    z.refine(({ total, indexed }) => indexed !== true || (total !== undefined && total <= MAX_INDEXED), {
      path: ["indexed"],
      error: `must come with a total of at most ${MAX_INDEXED}`,
    }),
  );

const task = z
  .strictObject({ id: taskId, result: z.exactOptional(z.unknown()), error: z.exactOptional(z.string()) })
  .check(z.refine(notBoth, { error: "must not have both a result and an error" }));

/** A task without a result or an error may be its id alone. */
const taskOrId = z.pipe(
  z.transform((value: unknown) => (typeof value === "object" ? value : { id: value })),
  task,
);

/** The body of `POST /v1/groups/:id/acks`. */
export const acksBody = z.strictObject({ tasks: list(taskOrId, 1, MAX_ACKS), generation: z.exactOptional(generation) });

/** The body of `POST /v1/groups/:id/cancel`. */
export const cancelBody = z.strictObject({ reason: z.string(), generation: z.exactOptional(generation) });

/** The body of `POST /v1/groups/:id/decrement`. */
export const decrementBody = z.strictObject({
  by: z.exactOptional(whole(1, MAX_TOTAL)),
  opId: z.exactOptional(id),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/redeliver`, which is optional. */
export const redeliverBody = z.strictObject({ generation: z.exactOptional(generation) });

/** The query of `GET /v1/groups/:id/results`. */
export const pageQuery = z.strictObject({
  after: z.exactOptional(whole(0, MAX_TOTAL)),
  limit: z.exactOptional(whole(1, MAX_PAGE)),
});

// ---- Requests ----

/** The body of `PUT /v1/requests/:id`, which is optional. */
export const requestBody = z.strictObject({ ttlSec: z.exactOptional(seconds(1)) });

/** The body of `POST /v1/requests/:id/roots`: roots of one stage, so that one step registers them. */
export const rootsBody = z.strictObject({ stage, roots: rootIds });

/** The body of `POST /v1/requests/:id/marks`: one root, done or failed. */
export const markBody = z
  .strictObject({
    stage,
    rootId: id,
    processed: z.exactOptional(count),
    next: z.exactOptional(list(z.strictObject({ stage, rootId: id }), 0, MAX_ROOTS_A_CALL)),
    error: z.exactOptional(z.string()),
  })
  .check(
    z.refine(({ processed, next, error }) => error === undefined || (processed === undefined && next === undefined), {
      error: "must not have an error together with processed or next",
    }),
    z.refine(({ stage, next = [] }) => stagesOf(stage, next).length <= MAX_STAGES, {
      path: ["next"],
      error: `must name at most ${MAX_STAGES} stages, with the mark's own`,
    }),
  );

/** Returns the stages that a mark names, each once. */
export function stagesOf(stage: string, next: readonly { readonly stage: string }[]): string[] {
  return [...new Set([stage, ...next.map((root) => root.stage)])];
}
