import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { WorkerHostStart } from "../worker-host.js";
import { type Access, reach } from "./access.js";
import type { Backend, BackendOptions } from "./backend.js";
import { ServerProcess } from "./server-process.js";

/** The deployable Worker in workerd, its Durable Objects on disk. It delivers the webhooks itself, from its alarms. */
export async function startWorker({ bundle, folder, port, webhooks }: BackendOptions): Promise<Backend> {
  const token = randomBytes(24).toString("base64url");
  const temporary = join(folder, "tmp");
  await mkdir(temporary, { recursive: true });
  const start = {
    script: await bundle.makeWorker(),
    objectsFolder: join(folder, "objects"),
    vars: {
      COORDINATOR_TOKEN: token,
      WEBHOOK_SECRET: webhooks.secret,
      WEBHOOK_ALLOWED_HOSTS: webhooks.allowedHost,
      WEBHOOK_ALLOW_HTTP: "true",
    },
  };
  const server = await ServerProcess.start<WorkerHostStart>(bundle.file("worker-host"), start, {
    name: "the Worker",
    port,
    // What a killed process could not remove goes with the run's folder.
    env: { TMPDIR: temporary, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" },
  });
  const access: Access = { backend: "worker", url: server.url, token };
  return {
    label: `on the Worker in workerd at ${server.url}`,
    access,
    coordinator: reach(access).coordinator,
    webhooks: undefined,
    server,
    close: () => server.close(),
  };
}
