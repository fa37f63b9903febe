import type { Spread } from "./statistics.js";

/** What a figure should be, and whether it is. */
export interface Target {
  readonly is: "at least" | "at most";
  readonly value: number;
}

/** One figure of one arm. */
export interface Result {
  /** What is measured, as a column's title would say it: `ack throughput over a bare INCR`. */
  readonly what: string;
  readonly arm: string;
  readonly value: number;
  /** `×` for a ratio, otherwise what is counted: `requests`, `rows`. */
  readonly unit: string;
  /** The rounds' lowest and highest, where there were rounds. */
  readonly interval?: { readonly low: number; readonly high: number };
  readonly target?: Target;
  /** What the figure does not say by itself. */
  readonly note?: string;
}

export function isMet({ value, target }: Result): boolean | undefined {
  if (target === undefined) return undefined;
  return target.is === "at least" ? value >= target.value : value <= target.value;
}

export const atLeast = (value: number): Target => ({ is: "at least", value });
export const atMost = (value: number): Target => ({ is: "at most", value });

/** What a result has besides the figure itself. */
export type Besides = Pick<Result, "what" | "arm" | "note"> & { readonly target?: Target | undefined };

/** A ratio of speeds or costs, with its interval. */
export function ratio({ median, low, high }: Spread, { target, ...besides }: Besides): Result {
  return { ...besides, value: median, unit: "×", interval: { low, high }, ...(target === undefined ? {} : { target }) };
}

/** A number that is counted, or known. */
export function figure(value: number, unit: string, { target, ...besides }: Besides): Result {
  return { ...besides, value, unit, ...(target === undefined ? {} : { target }) };
}
