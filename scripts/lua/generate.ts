import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import ts from "typescript";
import { machines } from "../../src/core/registry.js";
import { compile, type LuaEntry, type LuaExpression } from "./compile.js";
import { Sources } from "./flatten.js";
import { failOn, options } from "./options.js";
import { stageSources } from "./stage.js";

/** Returns the staged file of each machine. It is called like the machine, wherever in the core it stands. */
function machineFiles(stage: string): string[] {
  const core = readdirSync(join(stage, "src/core"), { recursive: true, encoding: "utf8" });
  return Object.keys(machines).map((machine) => {
    const path = core.find((name) => basename(name) === `${machine}.ts`);
    if (path === undefined) throw new Error(`no file of src/core is called ${machine}.ts`);
    return join(stage, "src/core", path);
  });
}

/** Returns one file with what all transitions need, and the expression of each transition's reply. */
function planned(stage: string): { text: string; replies: ReadonlyMap<string, string> } {
  const program = ts.createProgram([join(stage, "script.ts"), ...machineFiles(stage)], { ...options, noEmit: true });
  failOn(ts.getPreEmitDiagnostics(program), "the staged sources are wrong");
  const sources = new Sources(program, (file) => file.fileName.startsWith(stage));
  const run = sources.find("script.ts", "run");
  const parts = new Map<string, readonly (ts.Symbol | undefined)[]>();
  for (const machine of Object.keys(machines)) {
    const steps = sources.steps(machine);
    for (const [step, symbol] of steps) {
      parts.set(`${machine}.${step}`, [symbol, steps.get("wait"), sources.expected(machine).get(step)]);
    }
  }
  const { text, nameOf } = sources.flatten([run, ...[...parts.values()].flat().filter((part) => part !== undefined)]);
  const replies = new Map<string, string>();
  for (const [name, symbols] of parts) {
    const args = symbols.map((symbol) => (symbol === undefined ? "undefined" : `${nameOf(symbol)} as never`));
    replies.set(name, `${nameOf(run)}(${args.join(", ")})`);
  }
  return { text, replies };
}

/** Returns the parts of each transition's script: the entries of its table, and the statement that returns its reply. */
function compiled(stage: string): Map<string, readonly string[]> {
  const { text, replies } = planned(stage);
  // Groups and requests share most of their steps.
  const unique = [...new Set(replies.values())];
  const exports = unique.map((reply, i) => `export const reply${i} = ${reply};`);
  const { entries, exported } = compile(`${text}\n${exports.join("\n")}\n`, stage);
  const scripts = new Map<string, readonly string[]>();
  for (const [name, reply] of replies) {
    const { lua, uses } = exported.get(`reply${unique.indexOf(reply)}`) as LuaExpression;
    const used = usedBy(uses, entries);
    scripts.set(name, [...entries.filter((entry) => used.has(entry)).map((entry) => entry.lua), `return ${lua}`]);
  }
  return scripts;
}

/** Returns the entries of these names, and all that they use. */
function usedBy(names: readonly string[], entries: readonly LuaEntry[]): Set<LuaEntry> {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const used = new Set<LuaEntry>();
  const use = (name: string): void => {
    const entry = byName.get(name);
    if (entry === undefined) throw new Error(`no Lua declares ${name}`);
    if (used.has(entry)) return;
    used.add(entry);
    for (const other of entry.uses) use(other);
  };
  for (const name of names) use(name);
  return used;
}

/** Compiles every transition of the tree at `root`, and writes the scripts to `target`. */
export function generate(root: string, target: string): void {
  const stage = stageSources(root);
  const numbers = new Map<string, number>();
  const lines: string[] = [];
  for (const [name, parts] of compiled(stage)) {
    const list = parts.map((part) => {
      const number = numbers.get(part) ?? numbers.size;
      numbers.set(part, number);
      return number;
    });
    lines.push(`  ${JSON.stringify(name)}: ${JSON.stringify(list)},`);
  }
  const length = [...numbers.keys()].join("\n").length;
  process.stdout.write(`${lines.length} scripts of ${numbers.size} parts, ${length} characters\n`);
  rmSync(stage, { recursive: true });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, fileText([...numbers.keys()], lines));
}

function fileText(parts: readonly string[], lines: readonly string[]): string {
  return `// Made by \`npm run generate\` from src/core and lua/.

/** Every part of every script: the entries of its table \`L\`, and the statement that returns its reply. */
export const parts: readonly string[] = [
${parts.map((part) => `  ${JSON.stringify(part)},`).join("\n")}
];

/** A script's parts, by their numbers. The last one returns the reply. */
export const scripts = {
${lines.join("\n")}
} as const;
`;
}
