import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Measure } from "../bench.js";
import { bundle, gzipBytes, USES } from "../bundle.js";
import { atMost, figure, type Result } from "../result.js";
import { median } from "../statistics.js";

/** What the library adds to an application's bundle, and to its start. */
export const sizes: Measure = {
  name: "sizes",
  title: "Bundles, minified and compressed, and a cold import",
  async run({ scale }) {
    const results: Result[] = [];
    for (const { what, source, target } of USES) {
      const limit = target === undefined ? undefined : atMost(target / 1_000);
      results.push(figure((await gzipBytes(source)) / 1_000, "kB", { what: "gzip", arm: what, target: limit }));
    }
    const imports = await coldImports(scale.rounds);
    const what = "cold import, in a new process each time";
    for (const [arm, ms] of imports) results.push(figure(median(ms), "ms", { what, arm }));
    const of = (arm: string): readonly number[] => imports.get(arm) ?? [];
    const over = median(of(INSTALLED).map((ms, round) => ms - (of(EMPTY)[round] ?? 0)));
    results.push(figure(over, "ms", { what: "cold import, over an empty file's", arm: INSTALLED, target: atMost(5) }));
    return results;
  },
};

const EMPTY = "an empty file";
const BUNDLED = "`.`, bundled whole and minified";
const INSTALLED = "`.`, as it is installed";

const TIMED = "const t = performance.now(); await import(process.argv[1]); console.log(performance.now() - t);";

/** Milliseconds by what is imported, round by round. Node's own loader starts with the first import, whatever that is. */
async function coldImports(rounds: number): Promise<Map<string, number[]>> {
  const folder = mkdtempSync(join(tmpdir(), "edge-coordinator-import-"));
  try {
    const empty = join(folder, "empty.mjs");
    const bundled = join(folder, "bundle.mjs");
    writeFileSync(empty, "");
    writeFileSync(bundled, await bundle(`export * from "./src/index.ts"`));
    const files = { [EMPTY]: empty, [BUNDLED]: bundled, [INSTALLED]: resolve("dist/src/index.js") };
    const taken = new Map<string, number[]>(Object.keys(files).map((arm) => [arm, []]));
    for (let round = 0; round < Math.max(9, rounds); round++) {
      for (const [arm, file] of Object.entries(files)) {
        const args = ["--input-type=module", "-e", TIMED, file];
        taken.get(arm)?.push(Number(execFileSync(process.execPath, args, { encoding: "utf8" })));
      }
    }
    return taken;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
