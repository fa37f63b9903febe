import type { CallbackEffect, CallbackOutcome } from "../../src/capability/callback.js";
import { byteLength } from "../../src/core/host.js";
import { Problem } from "../../src/http/problem.js";
import { MAX_RESULT_BYTES } from "../../src/trackers/group/task.js";
import { readAny } from "../body.js";
import { depthOf, MAX_DEPTH } from "../json.js";

/** The effect of a call of a callback URL. */
export interface CalledBack {
  readonly effect: CallbackEffect;
  /** The result of a success. `undefined`: none. */
  readonly result: unknown;
  /** The error of a failure. */
  readonly error: string;
}

/** The result in place of a body that is too large, or nested too deeply. */
const TRUNCATED = { truncated: true } as const;
const NO_TEXT = "the callback reported a failure";

/**
 * Reads a body of any type, and returns what it does. The body is the result or the error of the task: its JSON value, or its
 * text.
 *
 * @throws {Problem} `invalid_input` when the body must say the effect, and does not; `too_large` when it is then too large;
 * `request_timeout`.
 */
export async function calledBack(request: Request, effect: CallbackEffect | CallbackOutcome): Promise<CalledBack> {
  const text = await textOf(request);
  const value = text === undefined ? TRUNCATED : jsonOrText(text);
  return {
    effect: typeof effect === "string" ? effect : effectIn(text === undefined ? undefined : { value }, effect),
    result: isStorable(value) ? value : TRUNCATED,
    error: text === undefined || text.trim() === "" ? NO_TEXT : text,
  };
}

/** Returns `undefined` for a body that is too large. */
async function textOf(request: Request): Promise<string | undefined> {
  try {
    // Not fatal: bytes that are no UTF-8 are replaced, and the task is settled.
    return new TextDecoder().decode(await readAny(request));
  } catch (error) {
    if (error instanceof Problem && error.code === "too_large") return undefined;
    throw error;
  }
}

/** Returns the JSON value of a text, or the text. */
function jsonOrText(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function isStorable(value: unknown): boolean {
  if (value === undefined) return true;
  return depthOf(value) <= MAX_DEPTH && byteLength(JSON.stringify(value)) <= MAX_RESULT_BYTES;
}

function effectIn(
  body: { readonly value: unknown } | undefined,
  { pointer, failure = [], ignore = [] }: CallbackOutcome,
): CallbackEffect {
  if (body === undefined) throw new Problem("too_large", "the body is too large to find its outcome");
  const found = at(body.value, pointer);
  if (!["string", "number", "boolean"].includes(typeof found)) {
    throw new Problem("invalid_input", "the body must be JSON with a text where `outcome.pointer` of this URL leads");
  }
  const named = String(found);
  if (failure.includes(named)) return "failure";
  return ignore.includes(named) ? "heartbeat" : "success";
}

/** Returns the value where a JSON pointer leads. @see https://www.rfc-editor.org/rfc/rfc6901 */
function at(value: unknown, pointer: string): unknown {
  const names = pointer.split("/").slice(1);
  return names.reduce<unknown>((current, name) => {
    const field = name.replaceAll("~1", "/").replaceAll("~0", "~");
    return typeof current === "object" && current !== null && Object.hasOwn(current, field)
      ? (current as Readonly<Record<string, unknown>>)[field]
      : undefined;
  }, value);
}
