import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import ts from "typescript";
import { machines } from "../../src/core/registry.js";
import { compile, type LuaStatement } from "./compile.js";
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

/** A script before it is compiled: what it runs, and the declarations that it needs for that. */
interface ScriptPlan {
  /** The transitions that it is for. Groups and requests share most of their steps. */
  readonly names: readonly string[];
  readonly reply: string;
  readonly needs: ReadonlySet<string>;
}

/** Returns one file with what all transitions need, and a script for each. */
function planned(stage: string): { text: string; plans: readonly ScriptPlan[] } {
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
  const flat = sources.flatten([run, ...[...parts.values()].flat().filter((part) => part !== undefined)]);
  const plans = new Map<string, ScriptPlan>();
  for (const [name, symbols] of parts) {
    const args = symbols.map((symbol) => (symbol === undefined ? "undefined" : `${flat.nameOf(symbol)} as never`));
    const reply = `${flat.nameOf(run)}(${args.join(", ")})`;
    const needs = new Set(flat.neededBy([run, ...symbols.filter((symbol) => symbol !== undefined)]));
    plans.set(reply, { names: [...(plans.get(reply)?.names ?? []), name], reply, needs });
  }
  return { text: flat.text, plans: [...plans.values()] };
}

/** Returns the statements of each transition: those that it needs, with what they need of the compiler's own library. */
function compiled(stage: string): Map<string, readonly string[]> {
  const { text, plans } = planned(stage);
  const replies = plans.map(({ reply }, i) => `export const reply${i} = ${reply};`);
  const { statements, exported } = compile(`${text}\n${replies.join("\n")}\n`, stage);
  const ours = new Set(plans.flatMap(({ needs }) => [...needs]));
  const library = statements.filter(({ declares }) => !declares.some((name) => ours.has(name)));
  const scripts = new Map<string, readonly string[]>();
  for (const [i, { names, needs }] of plans.entries()) {
    const own = statements.filter(({ declares }) => declares.some((name) => needs.has(name)));
    for (const name of needs) {
      if (!own.some(({ declares }) => declares.includes(name))) throw new Error(`no Lua declares ${name}`);
    }
    const used = withLibrary(own, library);
    const lua = statements.filter((statement) => used.has(statement)).map((statement) => statement.lua);
    for (const name of names) scripts.set(name, [...lua, `return ${exported.get(`reply${i}`)}`]);
  }
  return scripts;
}

/** Returns these statements, and all of the library that they name. */
function withLibrary(own: readonly LuaStatement[], library: readonly LuaStatement[]): Set<LuaStatement> {
  const used = new Set(own);
  for (const { lua } of used) {
    const words = new Set(lua.match(/\w+/g));
    // The set's iterator goes on to what is added here.
    for (const statement of library) if (statement.declares.some((name) => words.has(name))) used.add(statement);
  }
  return used;
}

/** Compiles every transition of the tree at `root`, and writes the scripts to `target`. */
export function generate(root: string, target: string): void {
  const stage = stageSources(root);
  const numbers = new Map<string, number>();
  const lines: string[] = [];
  for (const [name, statements] of compiled(stage)) {
    const list = statements.map((statement) => {
      const number = numbers.get(statement) ?? numbers.size;
      numbers.set(statement, number);
      return number;
    });
    lines.push(`  ${JSON.stringify(name)}: ${JSON.stringify(list)},`);
  }
  const length = [...numbers.keys()].join("\n").length;
  process.stdout.write(`${lines.length} scripts of ${numbers.size} statements, ${length} characters\n`);
  rmSync(stage, { recursive: true });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, fileText([...numbers.keys()], lines));
}

function fileText(statements: readonly string[], lines: readonly string[]): string {
  return `// Made by \`npm run generate\` from src/core and lua/.

/** Every statement of every script. */
export const statements: readonly string[] = [
${statements.map((statement) => `  ${JSON.stringify(statement)},`).join("\n")}
];

/** A script's statements, by their numbers. */
export const scripts = {
${lines.join("\n")}
} as const;
`;
}
