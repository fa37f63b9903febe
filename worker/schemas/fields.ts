import * as z from "zod/mini";
import { MAX_TASKS } from "../../src/trackers/registration.js";
import { MAX_COUNT, MAX_ROOTS_A_CALL } from "../../src/trackers/request-wait.js";
import { MAX_STAGE_BYTES } from "../../src/trackers/target.js";
import { checkId, checkText, MAX_SEC } from "../../src/validate.js";
import { isStorableJson, MAX_DEPTH } from "../json.js";

/** What both transitions and bodies are made of. */

export const MAX_TOTAL = 1_000_000_000;
export const MAX_METADATA_BYTES = 16_384;
export const MAX_URL_BYTES = 2_048;
/** How many results one page may hold. */
export const MAX_PAGE = 1_000;

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

export const id = checked((value) => checkId(value, ""), "1 to 256 bytes of well-formed text");

export const stage = checked((value) => {
  checkId(value, "");
  checkText(value, "", MAX_STAGE_BYTES);
}, `1 to ${MAX_STAGE_BYTES} bytes of well-formed text`);

export const text = (maxBytes: number) =>
  checked((value) => checkText(value, "", maxBytes), `at most ${maxBytes} bytes of well-formed text`);

export const jsonText = (maxBytes: number) =>
  text(maxBytes).check(z.refine(isStorableJson, { error: `must be JSON text, at most ${MAX_DEPTH} levels deep` }));

export const matching = (pattern: RegExp, must: string) =>
  z.string().check(z.refine((value) => pattern.test(value), { error: `must be ${must}` }));

export const whole = (min: number, max: number) =>
  z.number().check(
    z.refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    }),
  );

export const seconds = (min: number) =>
  z
    .number()
    .check(z.refine((value) => value >= min && value <= MAX_SEC, { error: `must be ${min} to ${MAX_SEC} seconds` }));

export const ttlSeconds = z
  .number()
  .check(
    z.refine((value) => value > 0 && value <= MAX_SEC, { error: `must be more than 0 and at most ${MAX_SEC} seconds` }),
  );

export function list<Item extends z.core.$ZodType>(item: Item, min: number, max: number) {
  // The length first: a list that is too long is not looked through.
  const fits = (items: readonly unknown[]): boolean => items.length >= min && items.length <= max;
  const sized = z.array(z.unknown()).check(z.refine(fits, { error: `must hold ${min} to ${max}`, abort: true }));
  return z.pipe(sized, z.array(item));
}

/** A task's id, or the number that stands for one. */
export const taskId = z.union([id, whole(0, Number.MAX_SAFE_INTEGER)], {
  error: "must be 1 to 256 bytes of well-formed text, or a number",
});

const distinct = (ids: readonly string[]): boolean => new Set(ids).size === ids.length;
export const taskIds = list(id, 0, MAX_TASKS).check(z.refine(distinct, { error: "must not repeat an id" }));
export const rootIds = list(id, 1, MAX_ROOTS_A_CALL);

/** Where a request waits for a group: one of its roots. */
export const requestRoot = z.strictObject({ requestId: id, stage, rootId: id });

export const count = whole(0, MAX_COUNT);
export const generation = whole(0, Number.MAX_SAFE_INTEGER);
export const version = whole(0, Number.MAX_SAFE_INTEGER);
export const ttlMs = whole(1, MAX_SEC * 1000);

/** A task has one end. */
export function notBoth(task: { readonly result?: unknown; readonly error?: unknown }): boolean {
  return task.result === undefined || task.error === undefined;
}
