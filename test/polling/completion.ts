import { type Connection, countOf, joinKey } from "./connection.js";

/** What becomes of a group: a process that stays alive holds it. */
export interface PollingCallbacks {
  readonly onComplete: () => unknown;
  readonly onTimeout?: () => unknown;
}

export interface PollingCompletionOptions {
  readonly ttlSec?: number;
  /** The pause between two looks at the groups. */
  readonly pollMs?: number;
  readonly now?: () => number;
}

interface Owned extends PollingCallbacks {
  readonly deadlineAtMs: number;
}

/**
 * Fan-out by a counter and a poller: each ack takes one from the counter, and the process that registered the group looks at
 * the counter twice a second until it is at zero. A zero is deleted, so a missing counter means the same.
 */
export class PollingCompletion {
  readonly #connection: Connection;
  readonly #ttlSec: string;
  readonly #pollMs: number;
  readonly #now: () => number;
  readonly #owned = new Map<string, Owned>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, options: PollingCompletionOptions = {}) {
    const { ttlSec = 3_600, pollMs = 500, now = Date.now } = options;
    this.#connection = connection;
    this.#ttlSec = String(ttlSec);
    this.#pollMs = pollMs;
    this.#now = now;
  }

  static counterKey(groupId: string): string {
    return joinKey("completion", groupId, "counter");
  }

  static registrationKey(groupId: string): string {
    return joinKey("completion", groupId, "registration");
  }

  /** How many groups this process still looks at. */
  get owned(): number {
    return this.#owned.size;
  }

  async register(
    groupId: string,
    total: number,
    { timeoutSec = 1_800, ...callbacks }: PollingCallbacks & { readonly timeoutSec?: number },
  ): Promise<void> {
    const { counterKey, registrationKey } = PollingCompletion;
    await this.#connection.send(["SET", counterKey(groupId), String(total), "EX", this.#ttlSec]);
    await this.#connection.send(["SET", registrationKey(groupId), "1", "EX", this.#ttlSec]);
    this.#owned.set(groupId, { ...callbacks, deadlineAtMs: this.#now() + timeoutSec * 1_000 });
  }

  /** One task is done. Returns how many are left; null: no such group. */
  async ack(groupId: string): Promise<number | null> {
    const key = PollingCompletion.counterKey(groupId);
    if ((await this.#connection.send(["GET", key])) === null) return null;
    await this.#connection.send(["EXPIRE", key, this.#ttlSec]);
    const left = countOf(await this.#connection.send(["DECR", key]));
    if (left === 0) await this.#connection.send(["DEL", key]);
    return left;
  }

  /** Looks at the groups again and again, until it is stopped. */
  start(): void {
    this.#timer = setTimeout(async () => {
      await this.tick();
      if (this.#timer !== undefined) this.start();
    }, this.#pollMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One look at each group of this process. An error ends that look alone. */
  async tick(): Promise<void> {
    for (const [groupId, owned] of [...this.#owned]) await this.#look(groupId, owned).catch(() => {});
  }

  async #look(groupId: string, owned: Owned): Promise<void> {
    const [counter, registration] = [PollingCompletion.counterKey(groupId), PollingCompletion.registrationKey(groupId)];
    if (countOf(await this.#connection.send(["EXISTS", registration])) === 0) {
      // Abandoned: another owner had it, or its time was over.
      this.#owned.delete(groupId);
      return;
    }
    const left = countOf(await this.#connection.send(["GET", counter]));
    if (left <= 0) return this.#finish(groupId, owned.onComplete);
    if (this.#now() >= owned.deadlineAtMs) return this.#finish(groupId, owned.onTimeout);
    await this.#connection.send(["EXPIRE", counter, this.#ttlSec]);
    await this.#connection.send(["EXPIRE", registration, this.#ttlSec]);
  }

  /** Who deletes the registration calls back, so that of two owners one does. */
  async #finish(groupId: string, callback: (() => unknown) | undefined): Promise<void> {
    const keys = [PollingCompletion.registrationKey(groupId), PollingCompletion.counterKey(groupId)];
    const deleted = countOf(await this.#connection.send(["DEL", ...keys]));
    this.#owned.delete(groupId);
    if (deleted > 0) await callback?.();
  }
}
