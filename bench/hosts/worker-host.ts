import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";

/** A folder in memory, where the system has one: a disk that others use too would be all that is measured. */
const MEMORY_FOLDER = "/dev/shm";

/** Starts the Worker of the benchmarks in workerd: the library's routes and object, and a bare object beside them. */
export async function startWorkerHost(token: string): Promise<WorkerHost> {
  const folder = mkdtempSync(join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), "edge-coordinator-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return startWorker({
    entry: "bench/worker/index.ts",
    vars: { COORDINATOR_TOKEN: token },
    className: "BenchCoordinator",
    objects: { BARE: "BareObject" },
    persistDir: folder,
  });
}
