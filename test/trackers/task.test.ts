import { describe, expect, it } from "vitest";
import { shortText } from "../../src/lib/validate.js";
import { taskAcks } from "../../src/trackers/group/task.js";

describe("tasks as a transition reads them", () => {
  it("are ids, ids with results, and ids with errors", () => {
    const tasks = [
      "a",
      { id: "b" },
      { id: "c", result: { x: [null] } },
      { id: "d", result: null },
      { id: "e", error: "" },
      { stage: "parse", id: 6, error: "x".repeat(300) },
    ];
    expect(taskAcks(tasks)).toEqual([
      { id: "a" },
      { id: "b" },
      { id: "c", result: '{"x":[null]}' },
      { id: "d", result: "null" },
      { id: "e", error: "" },
      { stage: "parse", id: "6", error: "x".repeat(300), brief: "x".repeat(256) },
    ]);
  });

  it("may be numbers, which are read as their digits", () => {
    expect(taskAcks([0, 17, { id: 1_000_000, result: 1 }])).toEqual([
      { id: "0" },
      { id: "17" },
      { id: "1000000", result: "1" },
    ]);
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, true, null, 1n]) {
      expect(() => taskAcks(["a", wrong as never])).toThrow(expect.objectContaining({ code: "invalid_input" }));
    }
  });

  it("take an undefined result or error for none", () => {
    expect(taskAcks([{ id: "a", result: undefined }])).toEqual([{ id: "a" }]);
    expect(taskAcks([{ id: "a", error: undefined } as never])).toEqual([{ id: "a" }]);
  });
});

describe("a text that is cut", () => {
  it("keeps whole characters", () => {
    expect(shortText("abc", "message", 3)).toBe("abc");
    expect(shortText("abcd", "message", 3)).toBe("abc");
    expect(shortText("aéb", "message", 2)).toBe("a");
    expect(shortText("aéb", "message", 3)).toBe("aé");
    expect(shortText("🙂🙂", "message", 7)).toBe("🙂");
    expect(shortText("🙂", "message", 3)).toBe("");
    expect(shortText("", "message", 3)).toBe("");
  });

  it("has half characters replaced", () => {
    expect(shortText("a\ud800b", "message", 100)).toBe("a\ufffdb");
  });

  it("never grows beyond its limit", () => {
    for (const text of ["é".repeat(50), "🙂".repeat(50), "\ud800".repeat(50), "x".repeat(50)]) {
      for (let limit = 0; limit < 60; limit++) {
        expect(new TextEncoder().encode(shortText(text, "message", limit)).length).toBeLessThanOrEqual(limit);
      }
    }
  });
});
