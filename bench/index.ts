import { readFileSync, writeFileSync } from "node:fs";
import { Random } from "../dev/random.js";
import { type Args, HELP, readArgs } from "./args.js";
import { type Bench, LONG, QUICK } from "./bench.js";
import { chartOf } from "./chart.js";
import { Lab } from "./lab.js";
import { machineOf } from "./machine.js";
import { MEASURES } from "./measures/index.js";
import { fill, type Run, type Section, targetsOf } from "./report.js";
import { isMet } from "./result.js";

// `npm run bench`: all arms side by side, and what they reached, in this folder.
const args = given();
if (args.isHelp) {
  console.log(HELP);
  process.exit();
}
const startedMs = performance.now();
const scale = args.isQuick ? QUICK : LONG;
const lab = await Lab.open();
try {
  const machine = await machineOf(lab);
  const sections: Section[] = [];
  for (const { name, title, chart, run } of MEASURES) {
    if (args.only.length > 0 && !args.only.includes(name)) continue;
    console.log(`\n== ${title}`);
    const bench: Bench = { lab, scale, random: new Random(args.seed), progress: (text) => console.log(`   ${text}`) };
    const section = { name, title, ...(chart === undefined ? {} : { chart }), results: await run(bench) };
    print(section);
    sections.push(section);
  }
  const minutes = Math.round((performance.now() - startedMs) / 6_000) / 10;
  console.log(`\n${minutes} minutes. ${targetsOf({ sections })}`);
  if (args.only.length === 0 && !args.isQuick) {
    write({ machine, seed: args.seed, rounds: scale.rounds, minutes, sections });
  }
} finally {
  await lab.close();
}

function given(): Args {
  try {
    return readArgs(
      process.argv.slice(2),
      MEASURES.map(({ name }) => name),
    );
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

function print({ results }: Section): void {
  for (const result of results) {
    const { what, arm, value, unit } = result;
    const met = isMet(result);
    const mark = met === undefined ? " " : met ? "+" : "-";
    console.log(` ${mark} ${value.toPrecision(4).padStart(9)} ${unit.padEnd(9)} ${arm}: ${what}`);
  }
}

function write(run: Run): void {
  const at = (name: string): URL => new URL(name, import.meta.url);
  writeFileSync(at("results.json"), `${JSON.stringify(run, null, 2)}\n`);
  for (const { name, chart, results } of run.sections) {
    const ratios = results.filter(({ unit, interval }) => unit === "×" && interval !== undefined);
    if (chart !== undefined) writeFileSync(at(`${name}.svg`), chartOf(chart, ratios));
  }
  writeFileSync(at("README.md"), fill(readFileSync(at("README.template.md"), "utf8"), run));
  console.log("Written: bench/results.json, bench/README.md and its charts.");
}
