import { readFile } from "node:fs/promises";
import { startWorker } from "../dev/worker-host.js";
import type { FromServer } from "./backends/server-process.js";
import { startedWith, tellParent } from "./child.js";

export interface WorkerHostStart {
  /** The path of the Worker as one module. */
  readonly script: string;
  /** Where its Durable Objects keep their data. */
  readonly objectsFolder: string;
  readonly vars: Readonly<Record<string, string>>;
}

// workerd with the Worker in it. This process leads its group: when the parent is gone, it takes workerd along.
process.once("disconnect", () => process.kill(-process.pid, "SIGKILL"));
const { script, objectsFolder, vars, port } = await startedWith<WorkerHostStart & { port: number }>();
try {
  await startWorker({ script: await readFile(script, "utf8"), port, vars, persistDir: objectsFolder });
  tellParent({ type: "ready" } satisfies FromServer);
} catch (error) {
  tellParent({ type: "failed", message: error instanceof Error ? error.message : String(error) } satisfies FromServer);
}
