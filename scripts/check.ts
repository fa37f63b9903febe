// `npm run check`: the type check takes as long as everything else together, so that both run side by side.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Each list runs in order, beside the others. */
const LANES: readonly (readonly string[])[] = [
  ["npm run --silent typecheck"],
  [
    "tsx scripts/check-imports.ts",
    "npm run --silent build",
    "tsx scripts/check-exports.ts",
    "tsx scripts/check-packed.ts",
    "publint --strict",
    "attw --pack . --profile esm-only",
  ],
];

/** Runs a command, and prints its output in one piece when it has ended. Resolves with its exit code. */
function run(command: string): Promise<number> {
  const env = { ...process.env, npm_config_ignore_scripts: "true" };
  const child = spawn(command, { cwd: root, shell: true, env, stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk));
  const startedAtMs = Date.now();
  return new Promise((resolve) => {
    child.once("close", (code) => {
      const text = Buffer.concat(output).toString();
      const seconds = Math.round((Date.now() - startedAtMs) / 1000);
      process.stdout.write(`\n> ${command} (${seconds} s)\n${text}`);
      resolve(code ?? 1);
    });
  });
}

/** Resolves with the first command that failed. Does not run those after it. */
async function runLane(commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands) if ((await run(command)) !== 0) return command;
  return undefined;
}

// Every lane reads the generated files. These two checks do not.
const first = [["npm run --silent generate"], ["npm run --silent lint", "tsx scripts/check-prose.ts"]];
const failed: (string | undefined)[] = await Promise.all(first.map(runLane));
if (!failed.some((command) => command !== undefined)) failed.push(...(await Promise.all(LANES.map(runLane))));
for (const command of failed) if (command !== undefined) console.error(`check: failed: ${command}`);
process.exitCode = failed.some((command) => command !== undefined) ? 1 : 0;
