import type * as z from "zod/mini";

const KINDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** Returns what is wrong with a value, as the end of a sentence that begins with the field's name. It shows no value. */
export function describeIssue(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "invalid_type") return `must be ${KINDS[issue.expected] ?? "of another type"}`;
  if (issue.code === "unrecognized_keys") {
    // Only a plain name is shown: any other text may be a value or a secret in the place of a name.
    const [name = ""] = issue.keys;
    return /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(name) ? `has an unknown field: ${name}` : "has an unknown field";
  }
  return "is invalid";
}
