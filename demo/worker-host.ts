import { Miniflare } from "miniflare";
import type { FromServer } from "./backends/server-process.js";
import { startedWith, tellParent } from "./child.js";

export interface WorkerHostStart {
  /** The Worker as one module. */
  readonly script: string;
  /** Where its Durable Objects keep their data. */
  readonly objectsFolder: string;
  readonly vars: Readonly<Record<string, string>>;
}

// workerd with the Worker in it. This process leads its group: when the parent is gone, it takes workerd along.
process.once("disconnect", () => process.kill(-process.pid, "SIGKILL"));
const { script, objectsFolder, vars, port } = await startedWith<WorkerHostStart & { port: number }>();
try {
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port,
    modules: true,
    scriptPath: script,
    compatibilityDate: "2026-05-03",
    bindings: { ...vars },
    durableObjects: { COORDINATOR: { className: "CoordinatorWorkerObject", useSQLite: true } },
    durableObjectsPersist: objectsFolder,
  });
  await miniflare.ready;
  tellParent({ type: "ready" } satisfies FromServer);
} catch (error) {
  tellParent({ type: "failed", message: error instanceof Error ? error.message : String(error) } satisfies FromServer);
}
