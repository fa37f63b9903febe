import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a script is made of, besides the two files in `lua/`. */
const SHARED = ["core", "lib/backoff.ts"];

/**
 * Copies the sources as the Lua compiler resolves them: beside each other, imported without an extension, with the twin of
 * `src/core/host.ts` that runs in Redis. Returns the folder; whoever asked for it removes it.
 */
export function stageSources(root: string): string {
  // Not below node_modules: the compiler takes what stands there for another project's.
  const stage = mkdtempSync(join(tmpdir(), "edge-coordinator-lua-"));
  mkdirSync(join(stage, "src"));
  for (const name of SHARED) cpSync(join(root, "src", name), join(stage, "src", name), { recursive: true });
  rmSync(join(stage, "src/core/registry.ts"));
  cpSync(join(root, "lua/host.ts"), join(stage, "src/core/host.ts"));
  cpSync(join(root, "lua/script.ts"), join(stage, "script.ts"));
  for (const path of readdirSync(stage, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(".ts")) continue;
    const file = join(stage, path);
    const text = readFileSync(file, "utf8");
    const resolved = text.replace(/from "(\.[^"]*)\.js"/g, 'from "$1"').replace(/from "\.\.\/src\//g, 'from "./src/');
    writeFileSync(file, resolved);
  }
  return stage;
}
