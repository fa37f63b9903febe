import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { bundleWorker, COMPATIBILITY } from "../../test/support/worker-process.js";

/** A folder in memory, where the system has one: a disk that others use too would be all that is measured. */
const MEMORY_FOLDER = "/dev/shm";

/** A running Worker of the benchmarks. */
export interface WorkerHost {
  /** Without a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts the Worker of the benchmarks in workerd: the library's routes and object, and a bare object beside them. */
export async function startWorkerHost(token: string): Promise<WorkerHost> {
  const folder = mkdtempSync(join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), "edge-coordinator-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: "worker.js", contents: await bundleWorker({ entry: "bench/worker/index.ts" }) },
    ],
    ...COMPATIBILITY,
    host: "127.0.0.1",
    port: 0,
    bindings: { COORDINATOR_TOKEN: token },
    durableObjectsPersist: folder,
    durableObjects: {
      COORDINATOR: { className: "BenchCoordinator", useSQLite: true },
      BARE: { className: "BareObject", useSQLite: true },
    },
  });
  const { href } = await miniflare.ready;
  return { url: href.replace(/\/$/, ""), close: () => miniflare.dispose() };
}
