import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Miniflare } from "miniflare";
import type { WorkerModule } from "./worker-bundle.js";

/** As in wrangler.toml. */
export const COMPATIBILITY = { compatibilityDate: "2026-05-03", compatibilityFlags: ["enable_request_signal"] };

export interface WorkerHostOptions extends WorkerModule {
  /** The module as `bundleWorker` returns it. @default bundled now, from `entry` or `source` */
  readonly script?: string;
  /** The Worker's vars and secrets. */
  readonly vars?: Readonly<Record<string, string>>;
  /** The class of the binding `COORDINATOR`. @default "CoordinatorWorkerObject" */
  readonly className?: string;
  /** Further objects: a class for each binding. */
  readonly objects?: Readonly<Record<string, string>>;
  /** Rate limits of the platform: calls a minute for each binding. */
  readonly rateLimits?: Readonly<Record<string, number>>;
  /** @default a free port */
  readonly port?: number;
  /** Where the SQLite files of the objects are kept. @default a temporary folder, until the Worker is closed */
  readonly persistDir?: string;
}

/** A running Worker. */
export interface WorkerHost {
  /** Without a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a Worker in a workerd process of its own. It answers HTTP on 127.0.0.1. */
export async function startWorker(options: WorkerHostOptions = {}): Promise<WorkerHost> {
  const {
    vars = {},
    port = 0,
    persistDir,
    className = "CoordinatorWorkerObject",
    objects = {},
    rateLimits = {},
  } = options;
  const classes = Object.entries({ COORDINATOR: className, ...objects });
  const miniflare = new Miniflare({
    modules: [{ type: "ESModule", path: "worker.js", contents: options.script ?? (await bundled(options)) }],
    ...COMPATIBILITY,
    host: "127.0.0.1",
    handleRuntimeStdio: print,
    // Requests go to the Worker itself. Miniflare's own entry Worker before it takes 1 ms of processor time a request.
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
    bindings: { ...vars },
    durableObjects: Object.fromEntries(classes.map(([name, className]) => [name, { className, useSQLite: true }])),
    ratelimits: Object.fromEntries(
      Object.entries(rateLimits).map(([name, limit]) => [name, { simple: { limit, period: 60 } }]),
    ),
    ...(persistDir === undefined ? {} : { durableObjectsPersist: persistDir }),
  });
  await miniflare.ready;
  const { href } = await miniflare.unsafeGetDirectURL();
  return { url: href.replace(/\/$/, ""), close: () => miniflare.dispose() };
}

/** Prints what the Worker writes, but for the lines about each group that begins or ends: a busy one has thousands. */
function print(stdout: Readable, stderr: Readable): void {
  createInterface(stdout).on("line", (line) => {
    if (!line.startsWith('{"level":"info"')) console.log(line);
  });
  createInterface(stderr).on("line", (line) => console.error(line));
}

/** A program that brings its script along loads no bundler. */
async function bundled(module: WorkerModule): Promise<string> {
  const { bundleWorker } = await import("./worker-bundle.js");
  return bundleWorker(module);
}
