import { expect } from "vitest";
import { MORE, OP, type Refused, type Step } from "./steps.js";

/** The steps of runs, permits and limits: what each takes, what it then answers, and what it refuses. */

const LEASE: Refused = [
  [{ leaseMs: undefined }, /^input\.leaseMs is required/],
  [{ leaseMs: 0 }, /^input\.leaseMs must be a whole number from 1 /],
];
const WINDOW: Refused = [
  [{ windowMs: undefined }, /^input\.windowMs is required/],
  [{ windowMs: 0 }, /^input\.windowMs must be a whole number from 1 /],
];

export const TURN_STEPS: Readonly<Record<string, Step>> = {
  "dedupe.begin": {
    input: { op: "op", leaseMs: 1_000, windowMs: 60_000, fingerprint: "f".repeat(256) },
    output: { outcome: "begun", token: expect.any(Number) },
    bad: [
      ...MORE,
      ...OP,
      ...LEASE,
      ...WINDOW,
      [{ fingerprint: "f".repeat(257) }, /^input\.fingerprint must be at most 256 bytes/],
    ],
  },
  "dedupe.renew": {
    input: { op: "op", leaseMs: 1_000, windowMs: 60_000 },
    output: { held: false },
    bad: [...MORE, ...OP, ...LEASE, ...WINDOW],
  },
  "dedupe.finish": {
    input: { op: "op", windowMs: 60_000, value: "x".repeat(98_304) },
    output: { held: false },
    bad: [...MORE, ...OP, ...WINDOW, [{ value: "x".repeat(98_305) }, /^input\.value must be at most 98304 bytes/]],
  },
  "dedupe.fail": { input: { op: "op" }, output: { held: false }, bad: [...MORE, ...OP] },
  "dedupe.forget": { input: { op: "op" }, output: { found: false }, bad: [...MORE, ...OP] },
  "dedupe.wait": { input: {}, output: { ready: true, version: expect.any(Number) }, bad: MORE },
  "semaphore.acquire": {
    input: { op: "op", permits: 256, leaseMs: 1_000, queue: true },
    output: { outcome: "granted", token: expect.any(Number), leftMs: 1_000 },
    bad: [
      ...MORE,
      ...OP,
      ...LEASE,
      [{ permits: 0 }, /^input\.permits must be a whole number from 1 to 256/],
      [{ permits: 257 }, /^input\.permits/],
      [{ queue: undefined }, /^input\.queue is required/],
    ],
  },
  "semaphore.extend": { input: { op: "op", leaseMs: 1_000 }, output: { held: false }, bad: [...MORE, ...OP, ...LEASE] },
  "semaphore.release": { input: { op: "op" }, output: { released: false }, bad: [...MORE, ...OP] },
  "semaphore.leave": { input: { op: "op" }, output: { left: false }, bad: [...MORE, ...OP] },
  "semaphore.status": { input: {}, output: { token: 0, holders: [], waiters: [], waiting: 0 }, bad: MORE },
  "semaphore.turn": { input: { op: "op" }, output: { ready: true, version: 0 }, bad: [...MORE, ...OP] },
  "limiter.take": {
    input: { limit: 100, windowMs: 60_000, burst: 10, cost: 1 },
    output: { allowed: true, remaining: 9, resetMs: 600, retryAfterMs: 0 },
    bad: [
      ...MORE,
      [{ limit: 0 }, /^input\.limit must be a whole number from 1 to 1000000/],
      [{ windowMs: 2_678_400_001 }, /^input\.windowMs must be a whole number from 1 to 2678400000/],
      [{ burst: 1_000_001 }, /^input\.burst/],
      [{ cost: 11 }, /^input\.cost must be at most the burst/],
      [{ limit: 1, windowMs: 2_678_400_000, burst: 12 }, /^input\.burst must refill within a year/],
    ],
  },
};
