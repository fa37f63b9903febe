import { type Connection, countOf, joinKey } from "./connection.js";

export interface PollingCounts {
  readonly processed: number;
  readonly errorCount: number;
}

/** Counts of a request, a key for each. Of the latest `maxTracked` ids the counts are kept. */
export class PollingStats {
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #ttlSec: string;
  readonly #maxTracked: number;

  constructor(
    connection: Connection,
    namespace: string,
    options: { readonly ttlSec?: number; readonly maxTracked?: number } = {},
  ) {
    const { ttlSec = 3_600, maxTracked = 1_000 } = options;
    this.#connection = connection;
    this.#namespace = namespace;
    this.#ttlSec = String(ttlSec);
    this.#maxTracked = maxTracked;
  }

  keysOf(id: string) {
    const key = (name: string): string => joinKey("stats", this.#namespace, id, name);
    return { processed: key("processed"), errorCount: key("errors") };
  }

  async merge(id: string, counts: Partial<PollingCounts>): Promise<void> {
    const keys = this.keysOf(id);
    for (const name of ["processed", "errorCount"] as const) {
      const n = counts[name] ?? 0;
      if (n === 0) continue;
      await this.#connection.send(["INCRBY", keys[name], String(n)]);
      await this.#connection.send(["EXPIRE", keys[name], this.#ttlSec]);
    }
    await this.#track(id);
  }

  /** Takes the counts; null: there are none. */
  async consume(id: string): Promise<PollingCounts | null> {
    const keys = this.keysOf(id);
    const processed = await this.#connection.send(["GET", keys.processed]);
    const errorCount = await this.#connection.send(["GET", keys.errorCount]);
    await this.#connection.send(["DEL", keys.processed, keys.errorCount]);
    if (processed === null && errorCount === null) return null;
    return { processed: countOf(processed), errorCount: countOf(errorCount) };
  }

  async #track(id: string): Promise<void> {
    const tracked = joinKey("stats", this.#namespace);
    const length = countOf(await this.#connection.send(["RPUSH", tracked, id]));
    await this.#connection.send(["EXPIRE", tracked, this.#ttlSec]);
    if (length <= this.#maxTracked) return;
    const oldest = await this.#connection.send(["LPOP", tracked]);
    if (typeof oldest === "string") await this.#connection.send(["DEL", ...Object.values(this.keysOf(oldest))]);
  }
}
