import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type RedisProcess, startRedis } from "../../dev/redis-rest/index.js";
import { CompletionTracker, isDrainable } from "../../src/index.js";
import { Complaint } from "../complaint.js";
import type { RestHostStart } from "../rest-host.js";
import { type Access, reach } from "./access.js";
import type { Backend, BackendOptions } from "./backend.js";
import { ServerProcess } from "./server-process.js";

/** How often the net looks for what is due. In production: a cron route. */
const DRAIN_EVERY_MS = 1_000;

/** A redis-server, and the REST server in front of it in a process of its own; that one is killed. */
export async function startUpstash({ bundle, port, webhooks }: BackendOptions): Promise<Backend> {
  const redis = await startRedisOrComplain();
  const token = randomBytes(24).toString("base64url");
  let server: ServerProcess;
  try {
    const start = { redisUrl: redis.url, token };
    server = await ServerProcess.start<RestHostStart>(bundle.file("rest-host"), start, {
      name: "the REST server",
      port,
    });
  } catch (error) {
    await redis.close();
    throw error;
  }
  const access: Access = { backend: "upstash", url: server.url, token, webhooks };
  const net = new DrainLoop(access);
  return {
    label: `on redis-server behind its REST server at ${server.url}`,
    access,
    coordinator: reach(access).coordinator,
    webhooks: undefined,
    server,
    close: async () => {
      await net.close();
      await server.close();
      await redis.close();
    },
  };
}

async function startRedisOrComplain(): Promise<RedisProcess> {
  try {
    return await startRedis();
  } catch (error) {
    throw new Complaint(error instanceof Error ? error.message : String(error));
  }
}

/** Wakes what nobody woke: deadlines, and deliveries whose process was killed. */
class DrainLoop {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(access: Access) {
    this.#done = this.#run(access);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(access: Access): Promise<void> {
    const { signal } = this.#stop;
    const { coordinator, webhooks } = reach(access);
    if (!isDrainable(coordinator)) throw new Error("Redis has a queue to drain");
    // It acts on what the drain wakes, by being there.
    new CompletionTracker(coordinator, { webhooks });
    while (!signal.aborted) {
      // A pass that fails is made good by the next one.
      await coordinator.drain({ signal }).catch(() => undefined);
      await pause(DRAIN_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
