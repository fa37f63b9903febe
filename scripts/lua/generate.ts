import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import ts from "typescript";
import { machines } from "../../src/core/registry.js";
import { compile } from "./compile.js";
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

/** Returns one text for each transition: the function with all that it needs. */
function flattened(stage: string): Map<string, string> {
  const program = ts.createProgram([join(stage, "script.ts"), ...machineFiles(stage)], { ...options, noEmit: true });
  failOn(ts.getPreEmitDiagnostics(program), "the staged sources are wrong");
  const sources = new Sources(program, (file) => file.fileName.startsWith(stage));
  const run = sources.find("script.ts", "run");
  const flat = new Map<string, string>();
  for (const machine of Object.keys(machines)) {
    const steps = sources.steps(machine);
    const wait = steps.get("wait");
    for (const [step, symbol] of steps) {
      const parts = [symbol, wait, sources.expected(machine).get(step)];
      const { text, nameOf } = sources.flatten([run, ...parts.filter((part) => part !== undefined)]);
      const args = parts.map((part) => (part === undefined ? "undefined" : `${nameOf(part)} as never`));
      flat.set(`${machine}.${step}`, `${text}\nexport const reply = ${nameOf(run)}(${args});\n`);
    }
  }
  return flat;
}

/** Returns the statements of each transition. Groups and requests have the same steps: each text is compiled once. */
function compiled(stage: string): Map<string, readonly string[]> {
  const flat = flattened(stage);
  const byText = new Map([...flat].map(([name, text]) => [text, name] as const));
  const statements = new Map(compile(new Map([...byText].map(([text, name]) => [name, text] as const)), stage));
  return new Map([...flat].map(([name, text]) => [name, statements.get(byText.get(text) ?? name) ?? []] as const));
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
