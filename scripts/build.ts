// `npm run build`: writes `dist`. Does nothing when `dist` is what the last build wrote and no input has changed since.
// `npm run build -- --force` builds in any case.
import { execSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { contentHash } from "./content.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const stamp = join(root, "node_modules/.cache/build/stamp");

/** The inputs of a build. The lock file names the versions of the compilers. */
const INPUTS = [
  "src",
  "worker",
  "cli",
  "dev/redis-rest",
  "tsconfig.base.json",
  "tsconfig.build.json",
  "rolldown.config.ts",
  "scripts/entries.ts",
  "scripts/licences.ts",
  "scripts/build.ts",
  "package.json",
  "package-lock.json",
];

/** `dist` is part of it: a file that is changed or missing there is built again. */
const hash = (): string => contentHash(root, [...INPUTS, "dist"]);
const run = (command: string): void => void execSync(command, { cwd: root, stdio: "inherit" });

run("npm run --silent generate");
if (!process.argv.includes("--force") && existsSync(stamp) && readFileSync(stamp, "utf8") === hash()) {
  console.log("dist is up to date");
} else {
  rmSync(stamp, { force: true });
  const inputs = contentHash(root, INPUTS);
  run("npm run --silent clean");
  run("node node_modules/@typescript/native/bin/tsc -p tsconfig.build.json");
  run("rolldown --config rolldown.config.ts");
  // An input that was edited meanwhile may be in `dist` or not: the next build must not take it for done.
  if (contentHash(root, INPUTS) === inputs) {
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, hash());
  }
}
