import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { timingSafeEqual, timingSafeIndex } from "../src/lib/timing-safe.js";

test("tells equal from different texts, the empty one and Unicode included", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), async (a, b) => {
      expect([await timingSafeEqual(a, a), await timingSafeEqual(a, b)]).toEqual([true, a === b]);
    }),
    { numRuns: 300, seed: 1 },
  );
  expect(await timingSafeEqual("", "")).toBe(true);
});

test("sees a difference in any place, in length and in case", async () => {
  const token = "0123456789abcdef0123456789abcdef";
  for (let i = 0; i < token.length; i++) {
    expect(await timingSafeEqual(token, `${token.slice(0, i)}_${token.slice(i + 1)}`)).toBe(false);
    expect(await timingSafeEqual(token, token.slice(0, i))).toBe(false);
  }
  expect(await timingSafeEqual(token, token.toUpperCase())).toBe(false);
  expect(await timingSafeEqual(token, `${token}\0`)).toBe(false);
});

test("finds a text among several, wherever it is, and digests each of them once", async () => {
  const texts = ["a", "b", "c", "d"];
  const sign = vi.spyOn(crypto.subtle, "sign");
  for (const text of texts) expect(await timingSafeIndex(["x", text, "y"], texts)).toBe(texts.indexOf(text));
  expect(sign).toHaveBeenCalledTimes(4 * (3 + 4));
  sign.mockRestore();
  expect(await timingSafeIndex([...texts].reverse(), texts)).toBe(0);
  expect(await timingSafeIndex(["x", "y"], texts)).toBe(-1);
  expect(await timingSafeIndex([], texts)).toBe(-1);
  expect(await timingSafeIndex(["a"], [])).toBe(-1);
});

test("does not take lone surrogates, or their replacement, for one another", async () => {
  expect(await timingSafeEqual("\ud800", "\ud801")).toBe(false);
  expect(await timingSafeEqual("\ud800", "\ufffd")).toBe(false);
});
