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
const [from, count] = [wholeNumber("from", args.from ?? "1"), wholeNumber("seeds", args.seeds ?? "10000")];

if (args.seed !== undefined) {
  const { trace, violation, steps } = simulate(wholeNumber("seed", args.seed));
  for (const line of trace()) console.log(line);
  console.log(violation === undefined ? `seed ${args.seed}: ${steps} steps, all well` : `VIOLATION: ${violation}`);
  process.exit(violation === undefined ? 0 : 1);
}

const sinceMs = Date.now();
let steps = 0;
for (let seed = from; seed < from + count; seed++) {
  const run = simulate(seed);
  steps += run.steps;
  if (run.violation !== undefined) {
    for (const line of run.trace()) console.log(line);
    console.log(`VIOLATION at seed ${seed}: ${run.violation}\nagain: npm run simulate -- --seed ${seed}`);
    // A trace may be long. The process ends by itself, once the reader has taken all of it.
    process.exitCode = 1;
    break;
  }
  if ((seed - from + 1) % 10_000 === 0) console.log(`${seed - from + 1} of ${count} seeds, ${Date.now() - sinceMs} ms`);
}
if (process.exitCode === undefined)
  console.log(`${count} seeds from ${from}, ${steps} steps, 0 violations, ${Date.now() - sinceMs} ms`);
