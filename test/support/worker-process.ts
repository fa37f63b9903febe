import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Miniflare } from "miniflare";

const ROOT = new URL("../../", import.meta.url);
/** As in wrangler.toml. */
export const COMPATIBILITY = { compatibilityDate: "2026-05-03", compatibilityFlags: ["enable_request_signal"] };

/** Which Worker to run. */
export interface WorkerModule {
  /** The module to run, a path from the repository's root. Default: the Worker itself. */
  readonly entry?: string;
  /** Instead of a path: the module's text, as if it stood at the repository's root. */
  readonly source?: string;
  /** The object's class in that module. */
  readonly className?: string;
}

export interface WorkerProcessOptions extends WorkerModule {
  /** The Worker's vars and secrets. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Default: a free one. */
  readonly port?: number;
  /** Where the objects' SQLite files are kept; default: in memory, gone with the process. */
  readonly persistDir?: string;
}

export interface WorkerProcess {
  /** Without a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

/** The entry point as one module, the way wrangler bundles it. */
export async function bundleWorker({ entry = "worker/index.ts", source }: WorkerModule): Promise<string> {
  const root = fileURLToPath(ROOT);
  const { outputFiles } = await build({
    absWorkingDir: root,
    ...(source === undefined
      ? { entryPoints: [entry] }
      : { stdin: { contents: source, resolveDir: root, loader: "ts", sourcefile: "entry.ts" } }),
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser", "import"],
    external: ["cloudflare:*"],
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

/** Starts the real Worker in a workerd process of its own; it answers real HTTP on loopback. */
export async function startWorker(options: WorkerProcessOptions = {}): Promise<WorkerProcess> {
  const { vars = {}, port = 0, persistDir, className = "CoordinatorWorkerObject" } = options;
  const miniflare = new Miniflare({
    modules: [{ type: "ESModule", path: "worker.js", contents: await bundleWorker(options) }],
    ...COMPATIBILITY,
    host: "127.0.0.1",
    port,
    bindings: { ...vars },
    durableObjects: { COORDINATOR: { className, useSQLite: true } },
    ...(persistDir === undefined ? {} : { durableObjectsPersist: persistDir }),
  });
  const { href } = await miniflare.ready;
  return { url: href.replace(/\/$/, ""), close: () => miniflare.dispose() };
}
