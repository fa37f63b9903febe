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

/** Returns the query of a request, with numbers where its values are digits. */
export function queryOf(c: { readonly req: { query(): Record<string, string> } }): Record<string, string | number> {
  const entries = Object.entries(c.req.query());
  return Object.fromEntries(entries.map(([name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]));
}
