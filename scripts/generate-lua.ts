import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Compiles each transition to a Lua script for Redis, from the very function that runs in memory and in a Durable Object with
 * all that it needs and nothing else, and writes them to `src/backends/upstash/scripts.gen.ts`: each function once, and for
 * each script the numbers of its own. Only `src/core/host.ts` has a twin, in `lua/`.
 *
 * Does nothing when the file is newer than all of its sources. `--force` compiles in any case.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const target = join(root, "src/backends/upstash/scripts.gen.ts");
const SOURCES = ["src/core", "lua", "scripts/lua", "scripts/generate-lua.ts", "package-lock.json"];

if (!process.argv.includes("--force") && isNewest(target, SOURCES)) {
  process.stdout.write("the scripts are newer than their sources\n");
} else {
  // The compilers take seconds to load.
  const { generate } = await import("./lua/generate.js");
  generate(root, target);
}

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
