import { expect, it } from "vitest";
import { parseRetryAfter } from "../src/http/retry-after.js";

/** Tue, 14 Nov 2023 22:13:20 GMT */
const NOW_MS = 1_700_000_000_000;

it.each([
  ["0", 0],
  ["120", 120_000],
  [" 120 ", 120_000],
  ["3600", 3_600_000],
  ["3601", 3_600_000],
  ["9".repeat(400), 3_600_000],
  ["Tue, 14 Nov 2023 22:14:20 GMT", 60_000],
  ["Tuesday, 14-Nov-23 22:14:20 GMT", 60_000],
  ["Wed, 15 Nov 2023 22:13:20 GMT", 3_600_000],
  ["Tue, 14 Nov 2023 22:13:19 GMT", 0],
  ["Never, 99 Foo 2023 99:99:99 GMT", undefined],
  ["2023-11-14T22:14:20Z", undefined],
  ["-5", undefined],
  ["1.5", undefined],
  ["1e3", undefined],
  ["soon", undefined],
  ["", undefined],
  [null, undefined],
])("Retry-After %j asks for %s ms", (value, ms) => {
  expect(parseRetryAfter(value, NOW_MS)).toBe(ms);
});
