import type { Outcome } from "../simulate.js";
import { simulateLimiter } from "./limiter.js";
import { simulateOnce } from "./once.js";
import { simulateSemaphore } from "./semaphore.js";

// tsx test/simulation/turns/cli.ts [--seeds N | --seed N | --from N]: the simulations of semaphores, runs and limiters.

const SIMULATIONS: Readonly<Record<string, (seed: number) => Outcome>> = {
  semaphore: simulateSemaphore,
  once: simulateOnce,
  limiter: simulateLimiter,
};

const PROGRESS = 5_000;

const [option = "--seeds", text = "10000"] = process.argv.slice(2);
const number = Number(text);
const ENDLESS = 1_000_000_000;
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  "--seed": [number, number],
  "--from": [number, ENDLESS],
};
const [from, to] = RANGES[option] ?? [1, number];
for (let seed = from; seed <= to && process.exitCode === undefined; seed++) {
  for (const [name, simulate] of Object.entries(SIMULATIONS)) {
    const { violation, trace } = simulate(seed);
    if (option === "--seed" || violation !== undefined) for (const line of trace()) console.log(line);
    if (violation === undefined) continue;
    console.log(`VIOLATION at seed ${seed}: ${name}: ${violation}`);
    process.exitCode = 1;
  }
  if (seed % PROGRESS === 0) console.log(`${seed} seeds`);
}
if (process.exitCode === undefined) console.log(`${to - from + 1} seeds from ${from}, 0 violations`);
