import { startRestServer } from "../dev/redis-rest/index.js";
import type { FromServer } from "./backends/server-process.js";
import { startedWith, tellParent } from "./child.js";

export interface RestHostStart {
  readonly redisUrl: string;
  readonly token: string;
}

// The REST server in a process of its own.
const { redisUrl, token, port } = await startedWith<RestHostStart & { port: number }>();
try {
  await startRestServer({ redisUrl, token, port });
  tellParent({ type: "ready" } satisfies FromServer);
} catch (error) {
  tellParent({ type: "failed", message: error instanceof Error ? error.message : String(error) } satisfies FromServer);
}
