import { describe, expect, it } from "vitest";
import { CoordinationError } from "../src/index.js";

describe("a CoordinationError as JSON", () => {
  it("tells its code, its message and whether to try again, and never its cause", () => {
    const error = new CoordinationError("rate_limited", "rate limit reached", {
      retryable: true,
      applied: "unknown",
      retryAfterMs: 250,
      cause: new Error("token abc"),
    });
    expect(JSON.parse(JSON.stringify({ error }))).toEqual({
      error: {
        name: "CoordinationError",
        code: "rate_limited",
        message: "rate limit reached",
        retryable: true,
        applied: "unknown",
        retryAfterMs: 250,
      },
    });
  });

  it("leaves out what is not set", () => {
    expect(JSON.stringify(new CoordinationError("conflict", "it stands"))).toBe(
      '{"name":"CoordinationError","code":"conflict","message":"it stands","retryable":false,"applied":"no"}',
    );
  });
});
