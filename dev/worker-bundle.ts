import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Which Worker to bundle. */
export interface WorkerModule {
  /** The module to run, a path from the repository's root. @default the Worker of `worker/` */
  readonly entry?: string;
  /** Instead of a path: the module's text, as if it were a file at the repository's root. */
  readonly source?: string;
}

const bundles = new Map<string, Promise<string>>();

/**
 * Bundles an entry point into one module for workerd, as wrangler does. `edge-coordinator` means the sources. A process
 * bundles each Worker once: a source that changes later changes nothing.
 */
export function bundleWorker({ entry = "worker/index.ts", source }: WorkerModule = {}): Promise<string> {
  const key = JSON.stringify(source === undefined ? { entry } : { source });
  const bundle = bundles.get(key) ?? bundled(entry, source);
  bundles.set(key, bundle);
  return bundle;
}

async function bundled(entry: string, source: string | undefined): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    ...(source === undefined
      ? { entryPoints: [entry] }
      : { stdin: { contents: source, resolveDir: ROOT, loader: "ts", sourcefile: "entry.ts" } }),
    alias: { "edge-coordinator": "./src/index.ts" },
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser", "import"],
    external: ["cloudflare:*"],
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}
