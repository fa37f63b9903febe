import { type Connection, countOf, joinKey } from "./connection.js";

export interface PollingStatus {
  readonly processed: number;
  readonly errorCount: number;
  readonly errors: readonly string[];
}

/**
 * An HTTP request that waits for its work: a set of pending roots, counters beside it, and a look every 50 ms. The request is
 * complete when nothing is pending, and the waiter that sees it so cleans up.
 */
export class PollingRequestWait {
  readonly #connection: Connection;
  readonly #ttlSec: string;
  readonly #pollMs: number;

  constructor(connection: Connection, options: { readonly ttlSec?: number; readonly pollMs?: number } = {}) {
    const { ttlSec = 3_600, pollMs = 50 } = options;
    this.#connection = connection;
    this.#ttlSec = String(ttlSec);
    this.#pollMs = pollMs;
  }

  static keysOf(requestId: string) {
    const key = (name: string): string => joinKey("request", requestId, name);
    return {
      pending: key("pending"),
      processed: key("processed"),
      errorCount: key("errors"),
      messages: key("messages"),
    };
  }

  /** Makes the counters, with their TTL. */
  async registerRequest(requestId: string): Promise<void> {
    const { processed, errorCount } = PollingRequestWait.keysOf(requestId);
    for (const key of [processed, errorCount]) {
      await this.#connection.send(["SET", key, "0", "NX", "EX", this.#ttlSec]);
    }
  }

  async registerRoot(requestId: string, root: string): Promise<void> {
    const { pending } = PollingRequestWait.keysOf(requestId);
    await this.#connection.send(["SADD", pending, root]);
    await this.#connection.send(["EXPIRE", pending, this.#ttlSec]);
  }

  async markDone(requestId: string, root: string): Promise<void> {
    const { pending, processed } = PollingRequestWait.keysOf(requestId);
    await this.#connection.send(["SREM", pending, root]);
    await this.#connection.send(["INCR", processed]);
  }

  async markFailed(requestId: string, root: string, message: string): Promise<void> {
    const { pending } = PollingRequestWait.keysOf(requestId);
    await this.#connection.send(["SREM", pending, root]);
    await this.recordError(requestId, message);
  }

  async recordError(requestId: string, message: string): Promise<void> {
    const { errorCount, messages } = PollingRequestWait.keysOf(requestId);
    await this.#connection.send(["INCR", errorCount]);
    await this.#connection.send(["RPUSH", messages, message]);
    await this.#connection.send(["EXPIRE", messages, this.#ttlSec]);
  }

  async isComplete(requestId: string): Promise<boolean> {
    const { pending } = PollingRequestWait.keysOf(requestId);
    return countOf(await this.#connection.send(["SCARD", pending])) === 0;
  }

  async status(requestId: string): Promise<PollingStatus> {
    const { processed, errorCount, messages } = PollingRequestWait.keysOf(requestId);
    return {
      processed: countOf(await this.#connection.send(["GET", processed])),
      errorCount: countOf(await this.#connection.send(["GET", errorCount])),
      errors: (await this.#connection.send(["LRANGE", messages, "0", "-1"])) as string[],
    };
  }

  /** Looks until nothing is pending, and keeps the request alive meanwhile; null: its time was over first. */
  async wait(requestId: string, timeoutMs: number): Promise<PollingStatus | null> {
    const keys = Object.values(PollingRequestWait.keysOf(requestId));
    const endAtMs = Date.now() + timeoutMs;
    while (!(await this.isComplete(requestId))) {
      if (Date.now() >= endAtMs) return null;
      for (const key of keys) await this.#connection.send(["EXPIRE", key, this.#ttlSec]);
      await new Promise((resolve) => setTimeout(resolve, this.#pollMs));
    }
    const status = await this.status(requestId);
    await this.#connection.send(["DEL", ...keys]);
    return status;
  }
}
