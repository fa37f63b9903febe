import * as z from "zod/mini";
import { describeIssue } from "../../src/config/zod-issue.js";
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

function wrong(issue: z.core.$ZodRawIssue): string {
  const isMissing = issue.code === "invalid_type" && issue.input === undefined;
  return isMissing ? "is required" : describeIssue(issue);
}
