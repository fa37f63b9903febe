import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { machines } from "../src/core/registry.js";
import { compile } from "./lua/compile.js";
import { Sources } from "./lua/flatten.js";
import { failOn, options } from "./lua/options.js";
import { stageSources } from "./lua/stage.js";

/**
 * Compiles each transition to a Lua script for Redis, from the very function that runs in memory and in a Durable Object with
 * all that it needs and nothing else, and writes them to `src/backends/upstash/scripts.gen.ts`: each statement once, and for
 * each script the numbers of its own. Only `src/core/host.ts` has a twin, in `lua/`.
 *
 * Does nothing when the file is newer than all of its sources. `--force` compiles in any case.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = join(root, "src/backends/upstash/scripts.gen.ts");
if (
  !process.argv.includes("--force") &&
  isNewest(target, ["src/core", "lua", "scripts/lua", "scripts/generate-lua.ts", "package-lock.json"])
) {
  process.stdout.write("the scripts are newer than their sources\n");
  process.exit();
}
const stage = stageSources(root);

/** The file of each machine is called like it, wherever in the core it stands. */
const core = readdirSync(join(stage, "src/core"), { recursive: true, encoding: "utf8" });
const files = Object.keys(machines).map((machine) => {
  const path = core.find((name) => basename(name) === `${machine}.ts`);
  if (path === undefined) throw new Error(`no file of src/core is called ${machine}.ts`);
  return join(stage, "src/core", path);
});
const program = ts.createProgram([join(stage, "script.ts"), ...files], { ...options, noEmit: true });
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

/** Groups and requests have the same steps: each text is compiled once. */
const byText = new Map([...flat].map(([name, text]) => [text, name] as const));
const compiled = new Map(compile(new Map([...byText].map(([text, name]) => [name, text] as const)), stage));

const numbers = new Map<string, number>();
const lines: string[] = [];
for (const [name, text] of flat) {
  const statements = compiled.get(byText.get(text) ?? name) ?? [];
  const list = statements.map((statement) => {
    const number = numbers.get(statement) ?? numbers.size;
    numbers.set(statement, number);
    return number;
  });
  lines.push(`  ${JSON.stringify(name)}: ${JSON.stringify(list)},`);
}
process.stdout.write(
  `${flat.size} scripts of ${numbers.size} statements, ${[...numbers.keys()].join("\n").length} characters\n`,
);

rmSync(stage, { recursive: true });
mkdirSync(dirname(target), { recursive: true });
writeFileSync(
  target,
  `// Made by \`npm run generate\` from src/core and lua/.

/** Every statement of every script. */
export const statements: readonly string[] = [
${[...numbers.keys()].map((statement) => `  ${JSON.stringify(statement)},`).join("\n")}
];

/** A script's statements, by their numbers. */
export const scripts = {
${lines.join("\n")}
} as const;
`,
);

/** Whether a file is newer than everything in these places. */
function isNewest(file: string, places: readonly string[]): boolean {
  if (!existsSync(file)) return false;
  const { mtimeMs } = statSync(file);
  const isOlder = (path: string): boolean => {
    const stat = statSync(path);
    if (stat.isDirectory()) return readdirSync(path).every((name) => isOlder(join(path, name)));
    return stat.mtimeMs < mtimeMs;
  };
  return places.every((place) => isOlder(join(root, place)));
}
