import { InvalidArgumentError } from "commander";
import { inSeconds } from "../src/lib/duration.js";

/** Returns a reader of whole numbers for an option. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Reads a duration such as `30s`, `10m` or `2h`; digits alone are seconds. Returns seconds. */
export function seconds(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  try {
    return inSeconds(text, "it");
  } catch {
    throw new InvalidArgumentError("It must be a duration such as 30s, 10m, 2h or 7d.");
  }
}
