import { describe, expect, it } from "vitest";
import { CoordinationError } from "../src/errors.js";
import {
  checkId,
  checkInteger,
  checkKeyPrefix,
  checkNumber,
  checkText,
  checkTtlSec,
  isId,
  isText,
  MAX_SEC,
  toJson,
} from "../src/lib/validate.js";

/** The message of the `invalid_input` that it throws. */
function refusal(check: () => unknown): string {
  try {
    check();
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "invalid_input") return error.message;
    throw error;
  }
  throw new Error("it was taken");
}

/** Whether a check throws nothing. */
function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

describe("ids", () => {
  it.each(["a", " ", "é".repeat(128), "x".repeat(256), "🙂", "\u0000", "__proto__"])("takes %j", (id) => {
    expect(() => checkId(id, "key")).not.toThrow();
  });

  it.each([
    [5, "key must be a string"],
    [null, "key must be a string"],
    ["", "key must not be empty"],
    ["x".repeat(257), "key must be at most 256 bytes"],
    [`${"é".repeat(128)}x`, "key must be at most 256 bytes"],
    ["\ud800", "key holds half of a surrogate pair"],
    ["a\udc00", "key holds half of a surrogate pair"],
    ["\udc00\ud800", "key holds half of a surrogate pair"],
    ["🙂\ud83d", "key holds half of a surrogate pair"],
  ])("refuses %j", (id, message) => {
    expect(refusal(() => checkId(id, "key"))).toBe(message);
  });

  it("row 78: are checked without throwing an error, which costs more than the check itself", () => {
    const values: unknown[] = [
      "",
      "a",
      "\ud800",
      "x\udc00",
      "🙂",
      "é".repeat(128),
      "é".repeat(129),
      5,
      null,
      undefined,
      {},
    ];
    for (const value of values) {
      expect(isId(value)).toBe(passes(() => checkId(value, "key")));
      expect(isText(value, 256)).toBe(passes(() => checkText(value, "value", 256)));
    }
  });

  it("never repeats the value in its message", () => {
    const secret = `secret${"x".repeat(300)}`;
    expect(refusal(() => checkId(secret, "key"))).not.toContain("secret");
    expect(refusal(() => checkText(secret, "value", 10))).not.toContain("secret");
  });
});

describe("numbers", () => {
  it("takes whole numbers within their range alone", () => {
    for (const value of [0, 5, 10, -0]) expect(() => checkInteger(value, "by", 0, 10)).not.toThrow();
    for (const value of [-1, 11, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null, undefined, 5n]) {
      expect(refusal(() => checkInteger(value, "by", 0, 10))).toBe("by must be a whole number from 0 to 10");
    }
  });

  it("takes fractions where they make sense", () => {
    for (const value of [0, 0.5, 10]) expect(() => checkNumber(value, "timeoutSec", 0, 10)).not.toThrow();
    for (const value of [-0.1, 10.1, Number.NaN, "5", null]) {
      expect(refusal(() => checkNumber(value, "timeoutSec", 0, 10))).toBe("timeoutSec must be a number from 0 to 10");
    }
  });

  it("makes whole milliseconds of seconds, at least one", () => {
    expect(checkTtlSec(1.5, "ttlSec")).toBe(1_500);
    expect(checkTtlSec(0.000_01, "ttlSec")).toBe(1);
    expect(checkTtlSec(MAX_SEC, "ttlSec")).toBe(31_536_000_000);
    for (const value of [0, -1, MAX_SEC + 1, Number.NaN, Number.POSITIVE_INFINITY, {}, undefined]) {
      expect(refusal(() => checkTtlSec(value, "ttlSec"))).toContain("ttlSec must be more than 0");
    }
    for (const value of ["60", null]) {
      expect(refusal(() => checkTtlSec(value, "ttlSec"))).toContain("ttlSec must be a number, or a text such as");
    }
  });
});

describe("texts", () => {
  it("takes empty texts, and refuses long and broken ones", () => {
    expect(() => checkText("", "value")).not.toThrow();
    expect(() => checkText("é".repeat(5), "value", 10)).not.toThrow();
    expect(refusal(() => checkText("é".repeat(6), "value", 10))).toBe("value must be at most 10 bytes");
    expect(refusal(() => checkText("\ud800", "value"))).toContain("value holds half");
  });

  it("refuses a key prefix with braces", () => {
    expect(() => checkKeyPrefix("app:", "keyPrefix")).not.toThrow();
    for (const prefix of ["a{b", "a}b", 5])
      expect(refusal(() => checkKeyPrefix(prefix, "keyPrefix"))).toContain("keyPrefix");
  });

  it("writes JSON, and says no to what has none", () => {
    expect(toJson({ a: [null] }, "payload")).toBe('{"a":[null]}');
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [undefined, () => {}, Symbol("s"), 1n, cycle]) {
      expect(refusal(() => toJson(value, "payload"))).toBe("payload has no JSON form");
    }
    expect(refusal(() => toJson("x".repeat(9), "payload", 10))).toBe("payload must be at most 10 bytes of JSON");
  });
});
