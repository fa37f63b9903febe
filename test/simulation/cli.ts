import { parseArgs } from "node:util";
import { simulate } from "./simulate.js";

// `npm run simulate -- --seeds 100000 [--from 1]`, or `--seed N` for the trace of one run.
const { values } = parseArgs({
  options: { seeds: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
});

if (values.seed !== undefined) {
  const { trace, violation, steps } = simulate(Number(values.seed));
  for (const line of trace()) console.log(line);
  console.log(violation === undefined ? `seed ${values.seed}: ${steps} steps, all well` : `VIOLATION: ${violation}`);
  process.exit(violation === undefined ? 0 : 1);
}

const [from, count] = [Number(values.from ?? 1), Number(values.seeds ?? 10_000)];
const sinceMs = Date.now();
let steps = 0;
for (let seed = from; seed < from + count; seed++) {
  const run = simulate(seed);
  steps += run.steps;
  if (run.violation !== undefined) {
    for (const line of run.trace()) console.log(line);
    console.log(`VIOLATION at seed ${seed}: ${run.violation}\nagain: npm run simulate -- --seed ${seed}`);
    process.exit(1);
  }
  if ((seed - from + 1) % 10_000 === 0) console.log(`${seed - from + 1} of ${count} seeds, ${Date.now() - sinceMs} ms`);
}
console.log(`${count} seeds from ${from}, ${steps} steps, 0 violations, ${Date.now() - sinceMs} ms`);
