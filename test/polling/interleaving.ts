import type { Redis } from "ioredis";
import type { Connection } from "./connection.js";

/** What happens at one command. */
export interface Event {
  /** Its name, `DECR` say. */
  readonly at: string;
  /** Which one of that name, from 1. */
  readonly nth?: number;
  /** Happens before the command is applied. */
  readonly before?: () => unknown;
  /** Happens after it was applied, before its reply is read. */
  readonly after?: () => unknown;
  /**
   * `reply_lost`: it was applied, and the client sends it again; `refused`: it was not applied, and fails;
   * `crash`: it was applied, and its sender is gone.
   */
  readonly fault?: "reply_lost" | "refused" | "crash";
}

/** A connection on which a test steps in between two commands. Each event happens once. */
export class Interleaved implements Connection {
  readonly #redis: Redis;
  readonly #events: Event[];
  readonly #seen = new Map<string, number>();
  /** The names of the commands that came, in order. */
  readonly sent: string[] = [];

  constructor(redis: Redis, ...events: Event[]) {
    this.#redis = redis;
    this.#events = events;
  }

  /** Whether everything that was planned has happened. */
  get isOver(): boolean {
    return this.#events.length === 0;
  }

  async send([name = "", ...args]: readonly string[]): Promise<unknown> {
    const nth = (this.#seen.get(name) ?? 0) + 1;
    this.#seen.set(name, nth);
    this.sent.push(name);
    const index = this.#events.findIndex((event) => event.at === name && (event.nth ?? 1) === nth);
    const [event] = index < 0 ? [] : this.#events.splice(index, 1);
    await event?.before?.();
    if (event?.fault === "refused") throw new Error("the backend is not there");
    const reply = await this.#redis.call(name, ...args);
    await event?.after?.();
    if (event?.fault === "crash") throw new Error("the process is gone");
    return event?.fault === "reply_lost" ? this.#redis.call(name, ...args) : reply;
  }
}
