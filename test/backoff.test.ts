import { expect, it } from "vitest";
import { fullJitterMs } from "../src/lib/backoff.js";
import { seededRandom } from "../src/testing/index.js";

const policy = { maxAttempts: 12, baseDelayMs: 1_000, maxDelayMs: 900_000 };
const ALMOST_1 = 1 - Number.EPSILON;

it("doubles the ceiling with each attempt, up to the longest pause", () => {
  const ceilings = Array.from({ length: 14 }, (_, i) => fullJitterMs(policy, i + 1, ALMOST_1) + 1);
  expect(ceilings.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(ceilings.slice(9)).toEqual([512_000, 900_000, 900_000, 900_000, 900_000]);
});

it("spreads the pause over all of the ceiling", () => {
  const random = seededRandom(1);
  const pauses = Array.from({ length: 10_000 }, () => fullJitterMs(policy, 4, random()));
  expect(Math.min(...pauses)).toBeLessThan(100);
  expect(Math.max(...pauses)).toBeGreaterThan(7_900);
  expect(Math.max(...pauses)).toBeLessThan(8_000);
  const mean = pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length;
  expect(mean).toBeGreaterThan(3_800);
  expect(mean).toBeLessThan(4_200);
});

it("is whole milliseconds, 0 for a base of 0, and safe for any attempt", () => {
  expect(fullJitterMs(policy, 1, 0.123456)).toBe(123);
  expect(fullJitterMs({ ...policy, baseDelayMs: 0 }, 5, 0.9)).toBe(0);
  expect(fullJitterMs(policy, 1_000_000, 0.5)).toBe(450_000);
  expect(fullJitterMs({ maxAttempts: 1, baseDelayMs: 500, maxDelayMs: 100 }, 1, ALMOST_1)).toBe(99);
});
