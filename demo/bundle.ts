import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleWorker } from "../dev/worker-bundle.js";

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

const PROGRAMS = ["worker-process", "receiver", "worker-host", "rest-host"] as const;
/** What runs in a process of its own. */
export type Program = (typeof PROGRAMS)[number];

/** The demo's programs as plain JavaScript, so that a process starts in a moment. */
export class Bundle {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param folder inside the project, where the programs find its packages. */
  static async make(folder: string): Promise<Bundle> {
    const bundle = new Bundle(folder);
    await build({
      entryPoints: PROGRAMS.map((program) => join(ROOT, "demo", `${program}.ts`)),
      outdir: bundle.#folder,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node20",
      logLevel: "error",
    });
    return bundle;
  }

  file(program: Program): string {
    return join(this.#folder, `${program}.mjs`);
  }

  /** Writes the Worker as one module for workerd, and returns its path. */
  async makeWorker(): Promise<string> {
    const path = join(this.#folder, "worker.js");
    await writeFile(path, await bundleWorker());
    return path;
  }
}
