import type { Duration } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkText, invalid } from "../lib/validate.js";
import type { TaskRef } from "../trackers/group/task.js";
import {
  checkGeneration,
  checkLifetime,
  claimsOf,
  lifetimeOf,
  type RecordId,
  recordClaim,
  recordIn,
  type TaskKey,
  taskClaim,
  taskIn,
  taskOf,
} from "./claims.js";
import type { ClaimsForm, Lifetime } from "./token.js";

/** The effect of a call of a callback URL. */
export type CallbackEffect = "success" | "failure" | "heartbeat";

/** How the body of a call says its effect, for services that send success, failure and progress to one URL. */
export interface CallbackOutcome {
  /** Where the value is in the JSON body, such as `/status`. @see https://www.rfc-editor.org/rfc/rfc6901 */
  readonly pointer: string;
  /** Values that fail the task. Any other value, if it is not in `ignore`, is a success. */
  readonly failure?: readonly string[];
  /** Values that settle nothing, such as progress. They only put off the idle timeout. */
  readonly ignore?: readonly string[];
}

/** The claims of a callback URL. */
export interface Callback extends RecordId, Lifetime {
  readonly task: TaskKey;
  readonly generation: number;
  /** The effect of every call, or where the body says it. */
  readonly effect: CallbackEffect | CallbackOutcome;
}

/** How long a callback URL lives, in seconds: by default, and at most. */
const USUAL_CALLBACK_SEC = 86_400;
const MAX_CALLBACK_SEC = 604_800;
const EFFECTS: readonly unknown[] = ["success", "failure", "heartbeat"] satisfies readonly CallbackEffect[];
const OUTCOME: Names<CallbackOutcome> = { pointer: true, failure: true, ignore: true };
const MAX_VALUES = 16;
const MAX_VALUE_BYTES = 64;
const MAX_POINTER_BYTES = 256;

/** Returns the effect in the order of the claims. @throws {CoordinationError} `invalid_input`. */
function effectOf(effect: CallbackEffect | CallbackOutcome): CallbackEffect | CallbackOutcome {
  if (typeof effect === "string") {
    if (!EFFECTS.includes(effect)) throw invalid(`effect must be one of ${EFFECTS.join(", ")}`);
    return effect;
  }
  checkOptions(effect ?? null, OUTCOME, "outcome");
  const { pointer, failure, ignore } = effect;
  checkText(pointer, "outcome.pointer", MAX_POINTER_BYTES);
  if (!/^(\/([^~/]|~[01])*)*$/.test(pointer)) throw invalid("outcome.pointer must be a JSON pointer, such as /status");
  return {
    pointer,
    ...(failure === undefined ? {} : { failure: valuesOf(failure, "outcome.failure") }),
    ...(ignore === undefined ? {} : { ignore: valuesOf(ignore, "outcome.ignore") }),
  };
}

function valuesOf(values: unknown, field: string): readonly string[] {
  if (!Array.isArray(values) || values.length > MAX_VALUES) throw invalid(`${field} must hold at most ${MAX_VALUES}`);
  for (const value of values) checkText(value, field, MAX_VALUE_BYTES);
  return values as readonly string[];
}

/** A callback, as callers give it. */
export interface CallbackInput {
  readonly task: TaskRef;
  readonly generation: number;
  readonly effect: CallbackEffect | CallbackOutcome;
  readonly ttlSec?: Duration | undefined;
}

/** Returns a callback from now on. @throws {CoordinationError} `invalid_input` for a field out of range. */
export function newCallback(
  record: RecordId,
  { task, generation, effect, ttlSec }: CallbackInput,
  nowMs: number,
): Callback {
  return checkCallback({
    ...record,
    task: taskOf(task, record, "task"),
    generation,
    effect: effectOf(effect),
    ...lifetimeOf(ttlSec, { usualSec: USUAL_CALLBACK_SEC, nowMs }),
  });
}

/** @throws {CoordinationError} `invalid_input` for a generation or times out of range. */
function checkCallback(callback: Callback): Callback {
  checkGeneration(callback.generation);
  checkLifetime(callback, MAX_CALLBACK_SEC, "");
  return callback;
}

/** The payload of a callback URL's token. */
export const callbackForm: ClaimsForm<Callback> = {
  kind: "callback",
  read(payload) {
    const { task, generation, effect, iat, exp, ...more } = claimsOf(payload);
    const record = recordIn(more);
    return checkCallback({
      ...record,
      task: taskIn(task, record),
      generation: generation as number,
      effect: effectOf(effect as CallbackEffect),
      iat: iat as number,
      exp: exp as number,
    });
  },
  write: ({ task, generation, effect, iat, exp, ...record }) => ({
    ...recordClaim(record),
    generation,
    task: taskClaim(task),
    effect,
    iat,
    exp,
  }),
};
