import * as z from "zod/mini";
import { CoordinationError } from "../src/errors.js";
import type { InputOf, TransitionName } from "../src/machines/index.js";
import { MAX_TASKS } from "../src/trackers/completion.js";
import { MAX_ACKS, MAX_ERROR_BYTES, MAX_RESULT_BYTES } from "../src/trackers/task.js";
import { checkId, checkText, MAX_ITEM_BYTES, MAX_SEC, MAX_VALUE_BYTES } from "../src/validate.js";
import { isStorableJson, MAX_DEPTH } from "./json.js";

/** The steps that `/v1/run` offers; a new one has to be described here before the Worker compiles. */
export type PublicTransition = Exclude<TransitionName, "completion.woken" | "completion.settle">;

const MAX_TOTAL = 1_000_000_000;
const MAX_METADATA_BYTES = 16_384;
const MAX_URL_BYTES = 2_048;
const MAX_BATCH = 10_000;

// ---- Fields ----

/** A text that one of the library's own checks accepts. */
function checked(check: (value: unknown) => void, must: string) {
  const accepts = (value: string): boolean => {
    try {
      check(value);
      return true;
    } catch {
      return false;
    }
  };
  return z.string().check(z.refine(accepts, { error: `must be ${must}`, abort: true }));
}

const id = checked((value) => checkId(value, ""), "1 to 256 bytes of well-formed text");

const text = (maxBytes: number) =>
  checked((value) => checkText(value, "", maxBytes), `at most ${maxBytes} bytes of well-formed text`);

const jsonText = (maxBytes: number) =>
  text(maxBytes).check(z.refine(isStorableJson, { error: `must be JSON text, at most ${MAX_DEPTH} levels deep` }));

const matching = (pattern: RegExp, must: string) =>
  z.string().check(z.refine((value) => pattern.test(value), { error: `must be ${must}` }));

const whole = (min: number, max: number) =>
  z.number().check(
    z.refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    }),
  );

const seconds = z
  .number()
  .check(z.refine((value) => value >= 0 && value <= MAX_SEC, { error: `must be 0 to ${MAX_SEC} seconds` }));
const ttlSeconds = z
  .number()
  .check(
    z.refine((value) => value > 0 && value <= MAX_SEC, { error: `must be more than 0 and at most ${MAX_SEC} seconds` }),
  );

function list<Item extends z.core.$ZodType>(item: Item, min: number, max: number) {
  // The length first: a list that is too long is not looked through.
  const fits = (items: readonly unknown[]): boolean => items.length >= min && items.length <= max;
  const sized = z.array(z.unknown()).check(z.refine(fits, { error: `must hold ${min} to ${max}`, abort: true }));
  return z.pipe(sized, z.array(item));
}

const distinct = (ids: readonly string[]): boolean => new Set(ids).size === ids.length;
const taskIds = list(id, 0, MAX_TASKS).check(z.refine(distinct, { error: "must not repeat an id" }));

const generation = whole(0, Number.MAX_SAFE_INTEGER);
const ttlMs = whole(1, MAX_SEC * 1000);
const nothing = z.strictObject({});

// ---- What transitions take ----

const target = z.strictObject({ route: text(MAX_URL_BYTES), body: text(MAX_VALUE_BYTES) }).check(
  z.refine(
    ({ route, body }) => (route === "url" ? URL.canParse(body) : isHandlerRoute(route) && isStorableJson(body)),
    {
      error: "must be a URL, or a named handler with its payload as JSON text",
    },
  ),
);

function isHandlerRoute(route: string): boolean {
  return route.startsWith("handler:") && z.safeParse(id, route.slice("handler:".length)).success;
}

const register = z
  .strictObject({
    op: id,
    spec: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
    total: whole(0, MAX_TOTAL),
    tasks: z.exactOptional(taskIds),
    timeoutMs: whole(0, MAX_SEC * 1000),
    ttlMs,
    // A webhook's receiver reads it as the message's id, and a full stop ends it there.
    deliveryId: matching(/^[!-\-/-~]{1,256}$/, "1 to 256 visible ASCII characters without a full stop"),
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
  );

const taskAck = z
  .strictObject({
    id,
    result: z.exactOptional(jsonText(MAX_RESULT_BYTES)),
    error: z.exactOptional(text(MAX_ERROR_BYTES)),
  })
  .check(z.refine(notBoth, { error: "must not have both a result and an error" }));

function notBoth(task: { readonly result?: unknown; readonly error?: unknown }): boolean {
  return task.result === undefined || task.error === undefined;
}

const write = { op: id, ttlMs };

/** The input of every transition that a client may run: as strict as the trackers that make it. */
export const INPUTS: { readonly [N in PublicTransition]: z.ZodMiniType<InputOf<N>> } = {
  "kv.incr": z.strictObject({ ...write, delta: whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) }),
  "kv.getInt": nothing,
  "kv.setIfAbsent": z.strictObject(write),
  "kv.sadd": z.strictObject({ ...write, members: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.srem": z.strictObject({ ...write, members: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.scard": nothing,
  "kv.rpush": z.strictObject({ ...write, values: list(text(MAX_ITEM_BYTES), 1, MAX_BATCH) }),
  "kv.lrange": nothing,
  "kv.expire": z.strictObject({ ttlMs }),
  "kv.delete": nothing,
  "completion.register": register,
  "completion.ack": z.strictObject({
    op: id,
    tasks: list(taskAck, 1, MAX_ACKS),
    generation: z.exactOptional(generation),
    earlyTtlMs: ttlMs,
    view: z.exactOptional(z.boolean()),
  }),
  "completion.decrement": z.strictObject({ op: id, by: whole(1, MAX_TOTAL) }),
  "completion.cancel": z.strictObject({ reason: text(MAX_ERROR_BYTES), generation: z.exactOptional(generation) }),
  "completion.status": nothing,
  "completion.wait": z.strictObject({ generation: z.exactOptional(generation) }),
  "completion.results": z.strictObject({ after: whole(0, MAX_TOTAL), limit: whole(1, 1_000) }),
  "completion.take": z.strictObject({ op: id, generation }),
  "completion.redeliver": z.strictObject({ op: id }),
};

// ---- Bodies ----

/** `/v1/run`; `resend: false` when the caller would not want its call to be sent twice. */
export const runBody = z.strictObject({ id, input: z.unknown(), resend: z.exactOptional(z.boolean()) });

/** `/v1/watch`. */
export const watchBody = z.strictObject({ id, input: z.unknown(), timeoutMs: z.exactOptional(whole(0, 25_000)) });

const groupTarget = z
  .strictObject({
    url: z.exactOptional(text(MAX_URL_BYTES)),
    handler: z.exactOptional(id),
    payload: z.exactOptional(z.unknown()),
  })
  .check(
    z.refine(
      ({ url, handler, payload }) =>
        (url === undefined) !== (handler === undefined) && (url === undefined || payload === undefined),
      {
        error: "must be { url } or { handler, payload }",
      },
    ),
  );

/** `PUT /v1/groups/:id`. */
export const groupBody = z
  .strictObject({
    total: z.exactOptional(whole(0, MAX_TOTAL)),
    tasks: z.exactOptional(taskIds),
    onComplete: z.exactOptional(groupTarget),
    onTimeout: z.exactOptional(groupTarget),
    onEnd: z.exactOptional(groupTarget),
    metadata: z.exactOptional(z.unknown()),
    timeoutSec: z.exactOptional(seconds),
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
  );

const task = z
  .strictObject({ id, result: z.exactOptional(z.unknown()), error: z.exactOptional(z.string()) })
  .check(z.refine(notBoth, { error: "must not have both a result and an error" }));

/** A task that is done without more to say may be its id alone. */
const taskOrId = z.pipe(
  z.transform((value: unknown) => (typeof value === "string" ? { id: value } : value)),
  task,
);

/** `POST /v1/groups/:id/acks`. */
export const acksBody = z.strictObject({ tasks: list(taskOrId, 1, MAX_ACKS), generation: z.exactOptional(generation) });

/** `POST /v1/groups/:id/cancel`. */
export const cancelBody = z.strictObject({ reason: z.string(), generation: z.exactOptional(generation) });

/** `POST /v1/groups/:id/decrement`. */
export const decrementBody = z.strictObject({
  by: z.exactOptional(whole(1, MAX_TOTAL)),
  opId: z.exactOptional(id),
});

/** What stands in the query of `GET /v1/groups/:id/results`. */
export const pageQuery = z.strictObject({
  after: z.exactOptional(whole(0, MAX_TOTAL)),
  limit: z.exactOptional(whole(1, 1_000)),
});

// ---- Parsing ----

/**
 * The value as the schema describes it.
 *
 * @throws {CoordinationError} `invalid_input`: the message names the field and what it must be, and no value.
 */
export function parse<Schema extends z.ZodMiniType>(schema: Schema, value: unknown, at = ""): z.output<Schema> {
  const outcome = z.safeParse(schema, value, { error: wrong });
  if (outcome.success) return outcome.data;
  const [issue] = outcome.error.issues;
  const path = (issue?.path ?? []).reduce<string>(
    (field, key) =>
      typeof key === "number" ? `${field}[${key}]` : field === "" ? String(key) : `${field}.${String(key)}`,
    at,
  );
  throw new CoordinationError("invalid_input", `${path === "" ? "the body" : path} ${issue?.message ?? "is invalid"}`);
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function wrong(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "invalid_type") {
    return issue.input === undefined ? "is required" : `must be ${KINDS[issue.expected] ?? "of another type"}`;
  }
  if (issue.code === "unrecognized_keys") {
    // What is no plain name may be a value that slipped into a name's place.
    const [name = ""] = issue.keys;
    return /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(name) ? `has an unknown field: ${name}` : "has an unknown field";
  }
  return "is invalid";
}
