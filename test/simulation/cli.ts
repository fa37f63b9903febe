import { parseArgs } from "node:util";
import { simulate } from "./simulate.js";

const HELP = `npm run simulate -- [options]

Runs the machines under random schedules of lost, repeated and late messages, crashes and clocks, a schedule a seed.

  --seeds N   how many seeds: 1 or more, default 10000
  --from N    the first of them, default 1
  --seed N    one run, with its trace
  --help      this text
`;

function complain(message: string): never {
  console.error(`${message}\n\n${HELP}`);
  process.exit(2);
}

function readArgs() {
  try {
    const text = { type: "string" } as const;
    const options = { seeds: text, from: text, seed: text, help: { type: "boolean" } } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    return complain((error as Error).message);
  }
}

/** Less would be a run that looks at nothing. */
function wholeNumber(name: string, text: string): number {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : complain(`--${name} must be a whole number from 1 on`);
}

const args = readArgs();
if (args.help === true) {
  console.log(HELP);
  process.exit(0);
}
/** Runs one seed with its trace. A trace may be long: the process ends by itself, once the reader has taken all of it. */
function traceOne(seed: number): void {
  const { trace, violation, steps } = simulate(seed);
  for (const line of trace()) console.log(line);
  console.log(violation === undefined ? `seed ${seed}: ${steps} steps, all well` : `VIOLATION: ${violation}`);
  if (violation !== undefined) process.exitCode = 1;
}

function runMany(from: number, count: number): void {
  const sinceMs = Date.now();
  let steps = 0;
  for (let seed = from; seed < from + count; seed++) {
    const run = simulate(seed);
    steps += run.steps;
    if (run.violation !== undefined) {
      for (const line of run.trace()) console.log(line);
      console.log(`VIOLATION at seed ${seed}: ${run.violation}\nagain: npm run simulate -- --seed ${seed}`);
      process.exitCode = 1;
      return;
    }
    const done = seed - from + 1;
    if (done % 10_000 === 0) console.log(`${done} of ${count} seeds, ${Date.now() - sinceMs} ms`);
  }
  console.log(`${count} seeds from ${from}, ${steps} steps, 0 violations, ${Date.now() - sinceMs} ms`);
}

if (args.seed !== undefined) traceOne(wholeNumber("seed", args.seed));
else runMany(wholeNumber("from", args.from ?? "1"), wholeNumber("seeds", args.seeds ?? "10000"));
