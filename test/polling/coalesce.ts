import { type Connection, countOf, joinKey } from "./connection.js";

/** Versions of a key: of the messages about it, only the one with the newest version is worth its work. */
export class PollingCoalesce {
  readonly #connection: Connection;
  readonly #ttlSec: string;

  constructor(connection: Connection, { ttlSec = 3_600 }: { readonly ttlSec?: number } = {}) {
    this.#connection = connection;
    this.#ttlSec = String(ttlSec);
  }

  static keyOf(...parts: readonly string[]): string {
    return joinKey("version", ...parts);
  }

  async next(...parts: readonly string[]): Promise<number> {
    const key = PollingCoalesce.keyOf(...parts);
    const version = countOf(await this.#connection.send(["INCR", key]));
    await this.#connection.send(["EXPIRE", key, this.#ttlSec]);
    return version;
  }

  async isStale(version: number, ...parts: readonly string[]): Promise<boolean> {
    return countOf(await this.#connection.send(["GET", PollingCoalesce.keyOf(...parts)])) > version;
  }
}
