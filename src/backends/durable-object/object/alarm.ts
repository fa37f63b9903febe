/**
 * The object's one alarm. Its time is cached in memory, so that a write which needs no earlier alarm costs nothing.
 *
 * Set the alarm in the same turn as the record's write, before any await. Both are then one transaction, so that no alarm
 * is lost between a commit and `setAlarm`.
 */
export class ObjectAlarm {
  readonly #storage: DurableObjectStorage;
  #standingMs: number | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Reads the alarm's time from storage. Call it first, while the object's input is blocked. */
  async load(): Promise<void> {
    this.#standingMs = (await this.#storage.getAlarm()) ?? undefined;
  }

  get isStanding(): boolean {
    return this.#standingMs !== undefined;
  }

  /** Call it when the alarm fires: no alarm is set any more. */
  rang(): void {
    this.#standingMs = undefined;
  }

  /** Sets the alarm to `atMs`, unless it is set to an earlier time. */
  arm(atMs: number): void {
    if (this.#standingMs === undefined || atMs < this.#standingMs) this.set(atMs);
  }

  /** Sets the alarm to `atMs`, in place of any other time; `undefined`: deletes it. */
  set(atMs: number | undefined): void {
    if (atMs === this.#standingMs) return;
    void (atMs === undefined ? this.#storage.deleteAlarm() : this.#storage.setAlarm(atMs));
    this.#standingMs = atMs;
  }
}
