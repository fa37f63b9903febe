import { type Connection, joinKey } from "./connection.js";

/** Claims that last for a window: whoever comes second is a duplicate. */
export class PollingDedupe {
  readonly #connection: Connection;
  readonly #windowSec: string;

  constructor(connection: Connection, { windowSec = 45 }: { readonly windowSec?: number } = {}) {
    this.#connection = connection;
    this.#windowSec = String(windowSec);
  }

  async claim(...parts: readonly string[]): Promise<boolean> {
    const key = joinKey("claim", ...parts);
    return (await this.#connection.send(["SET", key, "1", "NX", "EX", this.#windowSec])) === "OK";
  }
}
