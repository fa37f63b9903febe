/** The longest pause between sweeps that an object assumes when it has just been loaded. */
const LOADED_PAUSE_MS = 3_600_000;

/**
 * The object's one alarm. Its time is cached in memory, so that a write which needs no earlier alarm costs nothing.
 *
 * Set the alarm in the same turn as the record's write, before any await. Both are then one transaction, so that no alarm
 * is lost between a commit and `setAlarm`.
 */
export class ObjectAlarm {
  readonly #storage: DurableObjectStorage;
  #standingMs: number | undefined;
  /** Expired records are not removed before this time. */
  #sweepFromMs = Number.NEGATIVE_INFINITY;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Reads the alarm's time from storage. Call it first, while the object's input is blocked. */
  async load(now: () => number): Promise<void> {
    this.#standingMs = (await this.#storage.getAlarm()) ?? undefined;
    // How long the earlier instance meant to pause is not stored. Its alarm comes early enough.
    if (this.#standingMs !== undefined) this.pauseSweeps(Math.min(this.#standingMs, now() + LOADED_PAUSE_MS));
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

  /** From now on `armSweep` sets no alarm before `untilMs`. */
  pauseSweeps(untilMs: number): void {
    this.#sweepFromMs = untilMs;
  }

  /**
   * Sets the alarm for a record that expires at `atMs`, unless it is set to an earlier time. The alarm may be later than
   * the expiry: an expired record counts as absent, and an alarm looks through all records. So an object with many
   * short-lived records must not look at each expiry.
   */
  armSweep(atMs: number): void {
    this.arm(Math.max(atMs, this.#sweepFromMs));
  }

  /** Sets the alarm to `atMs`, in place of any other time; `undefined`: deletes it. */
  set(atMs: number | undefined): void {
    if (atMs === this.#standingMs) return;
    void (atMs === undefined ? this.#storage.deleteAlarm() : this.#storage.setAlarm(atMs));
    this.#standingMs = atMs;
  }
}
