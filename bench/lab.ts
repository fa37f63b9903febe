import { Redis } from "ioredis";
import { type RedisProcess, startRedis } from "../dev/redis-rest/index.js";
import type { WorkerHost } from "../dev/worker-host.js";
import { scripts } from "../src/backends/upstash/scripts.gen.js";
import { scriptOf } from "../src/backends/upstash/scripts.js";
import type { TransitionName } from "../src/index.js";
import { CommandStats } from "./command-stats.js";
import type { FrontCounts } from "./hosts/front.js";
import { FrontProcess } from "./hosts/front-process.js";
import { startWorkerHost } from "./hosts/worker-host.js";
import { WorkerCalls } from "./worker-calls.js";

/** Loopback alone knows it. */
export const TOKEN = "bench-token-of-loopback";

/** Where a server is reached: at itself, or through a gateway that counts and delays. */
export interface Address {
  readonly url: string;
  readonly token: string;
}

/** All servers of a run: redis-server, the REST server and its gateway, the Worker and its gateway. */
export class Lab {
  readonly commands: CommandStats;
  readonly worker: WorkerCalls;
  readonly #redis: RedisProcess;
  readonly #raw: Redis;
  readonly #workerHost: WorkerHost;
  readonly #front: FrontProcess;

  private constructor(redis: RedisProcess, raw: Redis, workerHost: WorkerHost, front: FrontProcess) {
    this.#redis = redis;
    this.#raw = raw;
    this.#workerHost = workerHost;
    this.#front = front;
    this.commands = new CommandStats(raw);
    this.worker = new WorkerCalls(workerHost.url);
  }

  static async open(): Promise<Lab> {
    const redis = await startRedis();
    const workerHost = await startWorkerHost(TOKEN);
    const front = await FrontProcess.start({ redisUrl: redis.url, token: TOKEN, workerUrl: workerHost.url });
    const raw = new Redis(redis.url);
    // As on any server that has run for a while.
    for (const name of Object.keys(scripts) as TransitionName[]) await raw.script("LOAD", scriptOf(name));
    return new Lab(redis, raw, workerHost, front);
  }

  /** Redis itself, over TCP. */
  get redis(): Redis {
    return this.#raw;
  }

  get redisAddress(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.#redis.port };
  }

  /** The REST server itself. */
  get rest(): Address {
    return { url: this.#front.urls.restUrl, token: TOKEN };
  }

  get restGateway(): Address {
    return { url: this.#front.urls.restGatewayUrl, token: TOKEN };
  }

  get workerDirect(): Address {
    return { url: this.#workerHost.url, token: TOKEN };
  }

  get workerGateway(): Address {
    return { url: this.#front.urls.workerGatewayUrl, token: TOKEN };
  }

  async setRtt(rttMs: number): Promise<void> {
    await this.#front.ask({ rttMs });
  }

  /** HTTP requests at the gateways since the last call. */
  counts(): Promise<FrontCounts> {
    return this.#front.ask();
  }

  /** Empties Redis; scripts stay. */
  async clear(): Promise<void> {
    await this.#raw.flushall();
  }

  async close(): Promise<void> {
    this.#raw.disconnect();
    await this.#front.close();
    await this.#workerHost.close();
    await this.#redis.close();
  }
}
