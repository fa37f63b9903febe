/**
 * The object's one alarm. What stands is kept in memory, so that a write which needs no earlier one costs nothing.
 *
 * Its writes belong to the transaction of whatever was written in the same turn, before any await: an alarm is never
 * lost between a commit and its arming.
 */
export class ObjectAlarm {
  readonly #storage: DurableObjectStorage;
  #standingMs: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Reads what stands. Call it before anything else, with the object's input held back. */
  async load(): Promise<void> {
    this.#standingMs = (await this.#storage.getAlarm()) ?? undefined;
  }

  get isStanding(): boolean {
    return this.#standingMs !== undefined;
  }

  /** The alarm is ringing: it stands no more. */
  rang(): void {
    this.#standingMs = undefined;
  }

  /** Has it ring at `atMs` or before. */
  arm(atMs: number): void {
    if (this.#standingMs === undefined || atMs < this.#standingMs) this.set(atMs);
  }

  /** Has it ring at `atMs`, whatever stood before; `undefined`: not at all. */
  set(atMs: number | undefined): void {
    if (atMs === this.#standingMs) return;
    void (atMs === undefined ? this.#storage.deleteAlarm() : this.#storage.setAlarm(atMs));
    this.#standingMs = atMs;
  }
}
