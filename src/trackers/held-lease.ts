import { CoordinationError } from "../errors.js";
import { systemClock } from "../lib/clock.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { checkNumber } from "../lib/validate.js";
import { within } from "../runtime/deadline.js";

/** A lease on a record. */
export interface Lease {
  readonly leaseMs: number;
  /** By `monotonicMs`: when the lease is over, unless it is renewed. */
  readonly untilMs: number;
  /** Ends the work, like a lease that is lost. */
  readonly signal: AbortSignal | undefined;
  /** Renews the lease. Returns false when another call has it. */
  renew(signal: AbortSignal): Promise<boolean>;
  /** Called once, when the lease is lost while the work runs. */
  onLost(reason: "taken" | "unconfirmed"): void;
}

export const DEFAULT_LEASE_SEC = 30;
export const MIN_LEASE_SEC = 1;
export const MAX_LEASE_SEC = 86_400;

/** @throws {CoordinationError} `invalid_input` unless it is 1 second to a day. Default: 30 seconds. */
export function checkLeaseSec(lease: Duration | undefined): number {
  const leaseSec = inSeconds(lease, "leaseSec") ?? DEFAULT_LEASE_SEC;
  checkNumber(leaseSec, "leaseSec", MIN_LEASE_SEC, MAX_LEASE_SEC);
  return leaseSec;
}

/** How long a caller waits for a last call that only frees what its lease frees anyway. */
const BRIEF_MS = 10_000;

/** How often a lease is renewed within its time. */
const RENEWALS = 3;
/** How soon a renewal that failed is tried again: this share of the lease. */
const AGAIN_SHARE = 1 / 12;

/** Returns a time that only grows, also when the machine's clock is set back. */
export const monotonicMs = (): number => performance.now();

/**
 * Waits for the work for 10 seconds at most. Does not end it. For a last call, such as a release: a backend that does not
 * answer must not hold the result of work that is done.
 */
export async function briefly(work: Promise<void>): Promise<void> {
  const limit = { limitMs: BRIEF_MS, signal: undefined, clock: systemClock, background: true };
  const isOver = {};
  try {
    await within(
      limit,
      () => isOver,
      () => work,
    );
  } catch (error) {
    if (error !== isOver) throw error;
  }
}

/**
 * Calls `work` while the lease is renewed: at a third of its time. The work's signal aborts when another call has the
 * lease, and when no renewal was confirmed in time, also by a backend that does not answer. Does not end the work.
 */
export async function whileHeld<Value>(
  lease: Lease,
  work: (signal: AbortSignal) => Value | Promise<Value>,
): Promise<Value> {
  const keeper = new Keeper(lease);
  try {
    return await work(keeper.signal);
  } finally {
    keeper.stop();
  }
}

class Keeper {
  readonly #lease: Lease;
  readonly #controller = new AbortController();
  #untilMs: number;
  #cancelRenewal = (): void => {};
  #cancelEnd = (): void => {};
  #isOver = false;

  constructor(lease: Lease) {
    this.#lease = lease;
    this.#untilMs = lease.untilMs;
    const { signal } = lease;
    if (signal?.aborted) this.#abort(signal.reason);
    else {
      signal?.addEventListener("abort", this.#onAbort, { once: true });
      this.#watchEnd();
      this.#renewIn(lease.leaseMs / RENEWALS - (lease.leaseMs - (lease.untilMs - monotonicMs())));
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    this.#isOver = true;
    this.#cancelRenewal();
    this.#cancelEnd();
    this.#lease.signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#abort(this.#lease.signal?.reason);

  #abort(reason: unknown): void {
    this.stop();
    this.#controller.abort(reason);
  }

  #lost(reason: "taken" | "unconfirmed", why: string): void {
    this.#abort(new CoordinationError("conflict", `the lease was lost: ${why}`));
    this.#lease.onLost(reason);
  }

  #watchEnd(): void {
    this.#cancelEnd();
    const leftMs = this.#untilMs - monotonicMs();
    if (leftMs <= 0) this.#lost("unconfirmed", "no renewal was confirmed in time");
    // The work itself keeps the process alive.
    else this.#cancelEnd = systemClock.setTimer(() => this.#watchEnd(), leftMs, { background: true });
  }

  #renewIn(ms: number): void {
    if (!this.#isOver) this.#cancelRenewal = systemClock.setTimer(() => void this.#renew(), ms, { background: true });
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#lease;
    const sentAtMs = monotonicMs();
    try {
      const isHeld = await this.#lease.renew(this.signal);
      if (this.#isOver) return;
      if (!isHeld) {
        this.#lost("taken", "another call has it");
        return;
      }
      // The server's lease began after this call was sent.
      this.#untilMs = sentAtMs + leaseMs;
      this.#watchEnd();
      this.#renewIn(leaseMs / RENEWALS - (monotonicMs() - sentAtMs));
    } catch {
      // An outage may pass before the lease is over. If it does not, the lease's own end reports it.
      this.#renewIn(leaseMs * AGAIN_SHARE);
    }
  }
}
