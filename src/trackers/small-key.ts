import { CoordinationError } from "../errors.js";
import { hexDigest } from "../lib/digest.js";
import { checkId, checkText } from "../lib/validate.js";
import { joinParts } from "../runtime/placement.js";

/** The largest key of a small record (a claim, a version), in bytes of UTF-8. The limit of each of its parts as well. */
export const MAX_KEY_BYTES = 2_048;
const MAX_PARTS = 16;
/** Joined keys up to this length stay readable; longer ones are stored as their digest. */
const MAX_PLAIN_LENGTH = 48;
export const MAX_NAMESPACE_BYTES = 64;

export function checkNamespace(namespace: unknown): asserts namespace is string {
  checkId(namespace, "namespace");
  checkText(namespace, "namespace", MAX_NAMESPACE_BYTES);
}

/** Returns the record's id for a namespace and a key, or a key's parts. Two different keys never share an id. */
export async function smallId(namespace: string, key: string | readonly string[]): Promise<string> {
  const joined = joinParts(checkParts(key));
  // A joined key begins with a digit, a digest does not.
  return joinParts([namespace, joined.length <= MAX_PLAIN_LENGTH ? joined : `#${await hexDigest("SHA-256", joined)}`]);
}

/** Returns the caller's key for events. */
export const keyText = (key: string | readonly string[]): string =>
  typeof key === "string" ? key : JSON.stringify(key);

function checkParts(key: string | readonly string[]): readonly string[] {
  if (typeof key === "string") {
    checkText(key, "key", MAX_KEY_BYTES);
    if (key === "") throw new CoordinationError("invalid_input", "key must not be empty");
    return [key];
  }
  if (!Array.isArray(key) || key.length === 0 || key.length > MAX_PARTS) {
    throw new CoordinationError("invalid_input", `key must be a string, or a list of 1 to ${MAX_PARTS} strings`);
  }
  for (const [i, part] of key.entries()) checkText(part, `key[${i}]`, MAX_KEY_BYTES);
  return key;
}
