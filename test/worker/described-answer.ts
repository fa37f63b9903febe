import { expect } from "vitest";
import * as z from "zod/mini";
import { OPERATIONS, openApiDocument } from "../../worker/openapi/document.js";
import type { Operation } from "../../worker/openapi/operation.js";
import { problem } from "../../worker/schemas/answers/problem.js";

const ALL = Object.values(OPERATIONS)
  .flat()
  .map((operation) => ({ operation, path: new RegExp(`^${operation.path.replace(/\{\w+\}/g, "[^/]*")}$`) }));

/** Returns the operation that `/openapi.json` describes for a call; `undefined` where it describes none. */
export function operationOf(method: string, called: string): Operation | undefined {
  const [bare = ""] = called.split("?");
  return ALL.find(({ operation, path }) => operation.method === method && path.test(bare))?.operation;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
}
const { paths } = openApiDocument() as Document;

/** Holds an answer of the Worker against its description. */
export function expectDescribed(method: string, path: string, answer: { status: number; text: string }): void {
  const { status, text } = answer;
  if (method === "HEAD") return;
  const called = `${method} ${path} ${status} ${text.slice(0, 500)}`;
  const operation = operationOf(method, path);
  if (operation !== undefined) {
    const { responses } = paths[operation.path]?.[method.toLowerCase()] ?? { responses: {} };
    expect(Object.keys(responses), called).toContain(String(status));
  }
  if (status >= 400) expectForm(problem, text, called);
  else if (operation?.answer.schema !== undefined) expectForm(operation.answer.schema, text, called);
}

function expectForm(schema: z.ZodMiniType, text: string, called: string): void {
  const outcome = z.safeParse(schema, JSON.parse(text));
  expect(outcome.success ? [] : outcome.error.issues, called).toEqual([]);
}
