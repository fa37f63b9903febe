import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
    const importMs = await coldImport(scale.rounds);
    const note = "the bundle of all of it, in a new process each time";
    results.push(figure(importMs, "ms", { what: "cold import, median", arm: "`.`", target: atMost(5), note }));
    return results;
  },
};

const TIMED = "const t = performance.now(); await import(process.argv[1]); console.log(performance.now() - t);";

async function coldImport(rounds: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "edge-coordinator-import-"));
  try {
    const file = join(folder, "bundle.mjs");
    writeFileSync(file, await bundle(`export * from "./src/index.ts"`));
    const args = ["--input-type=module", "-e", TIMED, file];
    return median(
      Array.from({ length: Math.max(5, rounds) }, () =>
        Number(execFileSync(process.execPath, args, { encoding: "utf8" })),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
