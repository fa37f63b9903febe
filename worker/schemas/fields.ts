import * as z from "zod/mini";
import { MAX_PAGE_BYTES } from "../../src/core/limits.js";
import { validTraceparent } from "../../src/lib/traceparent.js";
import { isId, isText, MAX_SEC, MAX_STAGE_BYTES } from "../../src/lib/validate.js";
import { MAX_COUNT } from "../../src/trackers/request/calls.js";
import { isStorableJson, MAX_DEPTH } from "../json.js";
import { described, withItems } from "./described.js";

/** Limits and fields that both transitions and bodies use. */

/** The most results of one page. */
export const MAX_PAGE = 1_000;

/** A text that a predicate accepts. */
function accepted(accepts: (value: string) => boolean, must: string) {
  return z.string().check(z.refine(accepts, { error: `must be ${must}`, abort: true }));
}

export const id = described(accepted(isId, "1 to 256 bytes of well-formed text"), { minLength: 1, maxLength: 256 });

export const stage = described(
  accepted(
    (value) => value !== "" && isText(value, MAX_STAGE_BYTES),
    `1 to ${MAX_STAGE_BYTES} bytes of well-formed text`,
  ),
  { minLength: 1, maxLength: MAX_STAGE_BYTES },
);

export const text = (maxBytes: number) =>
  described(
    accepted((value) => isText(value, maxBytes), `at most ${maxBytes} bytes of well-formed text`),
    { maxLength: maxBytes },
  );

export const jsonText = (maxBytes: number) =>
  text(maxBytes).check(z.refine(isStorableJson, { error: `must be JSON text, at most ${MAX_DEPTH} levels deep` }));

export const matching = (pattern: RegExp, must: string) =>
  z.string().check(z.refine((value) => pattern.test(value), { error: `must be ${must}` }));

export const whole = (min: number, max: number) =>
  described(
    z.number().check(
      z.refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
        error: `must be a whole number from ${min} to ${max}`,
      }),
    ),
    { type: "integer", minimum: min, maximum: max },
  );

export const seconds = (min: number) =>
  described(
    z
      .number()
      .check(z.refine((value) => value >= min && value <= MAX_SEC, { error: `must be ${min} to ${MAX_SEC} seconds` })),
    { minimum: min, maximum: MAX_SEC },
  );

export const ttlSeconds = described(
  z.number().check(
    z.refine((value) => value > 0 && value <= MAX_SEC, {
      error: `must be more than 0 and at most ${MAX_SEC} seconds`,
    }),
  ),
  { exclusiveMinimum: 0, maximum: MAX_SEC },
);

/** A list. Checks its length before its items, and reports only the first invalid item. */
export function list<Item extends z.core.$ZodType>(item: Item, min: number, max: number) {
  const fits = (items: readonly unknown[]): boolean => items.length >= min && items.length <= max;
  const sized = z.array(z.unknown()).check(z.refine(fits, { error: `must hold ${min} to ${max}`, abort: true }));
  const parseEach = (items: unknown[], list: z.core.ParsePayload): z.output<Item>[] => {
    const parsed: z.output<Item>[] = [];
    for (const [i, value] of items.entries()) {
      // The same call that zod's own lists make. None of our schemas is asynchronous.
      const outcome = item._zod.run({ value, issues: [] }, { async: false }) as z.core.ParsePayload<z.output<Item>>;
      if (outcome.issues.length > 0) {
        // Stops further checks, which expect a list.
        const issues = z.core.util.prefixIssues(i, outcome.issues).map((issue) => ({ ...issue, continue: false }));
        list.issues.push(...issues);
        return z.NEVER;
      }
      parsed.push(outcome.value);
    }
    return parsed;
  };
  return z.pipe(withItems(described(sized, { minItems: min, maxItems: max }), item), z.transform(parseEach));
}

/** A task's id, or a number that equals its decimal digits. */
export const taskId = z.union([id, whole(0, Number.MAX_SAFE_INTEGER)], {
  error: "must be 1 to 256 bytes of well-formed text, or a number",
});

/** A task of another group or request. */
export const parentTask = z
  .strictObject({
    groupId: z.exactOptional(id),
    requestId: z.exactOptional(id),
    stage: z.exactOptional(stage),
    taskId,
    generation: z.exactOptional(whole(0, Number.MAX_SAFE_INTEGER)),
  })
  .check(
    z.refine(({ groupId, requestId }) => (groupId === undefined) !== (requestId === undefined), {
      error: "must have either groupId or requestId",
    }),
  );

export const count = whole(0, MAX_COUNT);
export const generation = whole(0, Number.MAX_SAFE_INTEGER);
export const version = whole(0, Number.MAX_SAFE_INTEGER);
export const ttlMs = whole(1, MAX_SEC * 1000);

/** The fields of a write that is known by its operation id. */
export const write = { op: id, ttlMs };
export const byOp = z.strictObject({ op: id });
export const nothing = z.strictObject({});
/** The largest size of a page, in bytes. */
export const pageBytes = z.exactOptional(whole(1, MAX_PAGE_BYTES));

/** A trace context. An invalid one is ignored, as W3C Trace Context says. */
export const traceparent = z.pipe(z.unknown(), z.transform(validTraceparent));

/** Returns whether a task has at most one of a result and an error. */
export function notBoth(task: { readonly result?: unknown; readonly error?: unknown }): boolean {
  return task.result === undefined || task.error === undefined;
}
