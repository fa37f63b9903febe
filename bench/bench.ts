import type { Random } from "../dev/random.js";
import type { Lab } from "./lab.js";
import type { Result } from "./result.js";

/** How much is done. */
export interface Scale {
  readonly rounds: number;
  /** How long one arm's turn takes, about. */
  readonly turnMs: number;
  /** How many calls of a script make an average. */
  readonly calls: number;
  /** How often a wait is tried that is over at once, and one that is polled for. */
  readonly waits: number;
  readonly polledWaits: number;
  readonly alarms: number;
}

export const LONG: Scale = { rounds: 5, turnMs: 700, calls: 1_000, waits: 140, polledWaits: 60, alarms: 200 };
export const QUICK: Scale = { rounds: 2, turnMs: 100, calls: 200, waits: 20, polledWaits: 10, alarms: 20 };

/** What a measure works with. */
export interface Bench {
  readonly lab: Lab;
  readonly scale: Scale;
  readonly random: Random;
  progress(text: string): void;
}

/** One question, and the arms that answer it. A new one gets a file in `measures/` and its line in the list there. */
export interface Measure {
  /** For the command line. */
  readonly name: string;
  /** The heading of its table. */
  readonly title: string;
  /** What its chart says above; without it there is none. */
  readonly chart?: string;
  run(bench: Bench): Promise<Result[]>;
}
