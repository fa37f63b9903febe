import { inspect } from "node:util";
import { expect } from "vitest";
import { CoordinationError } from "../../src/errors.js";

/** What a value begins with that no error may show. */
const CANARY = /canary/i;

/** The refusal of a call that must fail with `misconfigured` and show no canary, its cause apart. */
export async function refusalOf(call: () => unknown): Promise<CoordinationError> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(CoordinationError);
    const refusal = error as CoordinationError;
    expect(refusal).toMatchObject({ code: "misconfigured", retryable: false, applied: "no" });
    expect(refusal.message).not.toMatch(CANARY);
    expect(JSON.stringify(refusal)).not.toMatch(CANARY);
    return refusal;
  }
  return expect.unreachable("it was not refused");
}

/** The message of such a refusal, which has no cause, or one that shows no canary either. */
export async function messageOf(call: () => unknown): Promise<string> {
  const refusal = await refusalOf(call);
  expect(inspect(refusal.cause)).not.toMatch(CANARY);
  return refusal.message;
}
