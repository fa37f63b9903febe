import * as z from "zod/mini";
import { CoordinationError } from "../../src/errors.js";

/**
 * Returns the value in the form of the schema.
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
    // Only a plain name is shown: any other text may be a value in the place of a name.
    const [name = ""] = issue.keys;
    return /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(name) ? `has an unknown field: ${name}` : "has an unknown field";
  }
  return "is invalid";
}
