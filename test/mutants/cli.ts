import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Evidence, MUTANTS_FILE } from "../guarantees/evidence.js";
import { ALL_BUGS } from "./all-bugs.js";
import type { Bug } from "./bugs.js";
import { TURN_BUGS } from "./turn-bugs.js";

// `npm run mutants [-- NAME]`: plants each bug in a copy of the sources, and has a simulator look for it.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SEEDS = 20_000;

interface Verdict {
  readonly caught: boolean;
  readonly how: string;
}

function plant({ file, from, to }: Bug, folder: string): void {
  for (const part of ["src", "test/simulation"]) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (text.split(from).length !== 2) throw new Error(`${file} holds this other than once:\n${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}

/** What a child has printed last: a run that has no end prints for as long as it is let. */
function lastOf(stream: Readable, most: number): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (part: string) => {
    text = (text + part).slice(-most);
  });
  return () => text;
}

async function look(folder: string, cli: string): Promise<Verdict> {
  const tsx = join(ROOT, "node_modules/tsx/dist/cli.mjs");
  const args = [tsx, join(folder, cli), "--seeds", String(SEEDS)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = [lastOf(child.stdout, 10_000), lastOf(child.stderr, 500)];
  const [code] = await once(child, "close");
  const [, seed, violation] = /VIOLATION at seed (\d+): ([^\n]*)/.exec(stdout()) ?? [];
  if (violation !== undefined) return { caught: true, how: `seed ${seed}: ${violation}` };
  return { caught: false, how: code === 0 ? `${SEEDS} seeds without a violation` : stderr() };
}

const wanted = process.argv.slice(2).join(" ");
const survivors: string[] = [];
const planted = ALL_BUGS.filter(({ name }) => name.includes(wanted));
for (const bug of planted) {
  // Below node_modules, so that the copy resolves packages.
  mkdirSync(join(ROOT, "node_modules/.cache"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "node_modules/.cache/mutant-"));
  try {
    plant(bug, folder);
    const { caught, how } = await look(
      folder,
      TURN_BUGS.includes(bug) ? "test/simulation/turns/cli.ts" : "test/simulation/cli.ts",
    );
    if (!caught) survivors.push(bug.name);
    console.log(`${caught ? "caught  " : "SURVIVED"}  ${bug.name}\n            ${how}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const caught = planted.length - survivors.length;
const evidence: Evidence = {
  file: "test/mutants/bugs.ts",
  name: "mutants",
  state: survivors.length === 0 ? "passed" : "failed",
  figures: [{ row: "T3b", reached: `${caught} of ${planted.length} bugs caught by the simulator` }],
};
if (wanted === "") {
  mkdirSync(dirname(join(ROOT, MUTANTS_FILE)), { recursive: true });
  writeFileSync(join(ROOT, MUTANTS_FILE), JSON.stringify([evidence]));
}
console.log(`${survivors.length === 0 ? "all caught" : `${survivors.length} survived: ${survivors.join("; ")}`}`);
process.exit(survivors.length === 0 ? 0 : 1);
