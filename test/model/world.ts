import type { Coordinator } from "../../src/coordinator.js";
import { CoordinationError, type CoordinationErrorCode } from "../../src/errors.js";
import { ConformanceFailure } from "../../src/testing/assert.js";
import {
  caseHandlers,
  duplicating,
  type Harness,
  losingReplies,
  type RecordedDelivery,
} from "../../src/testing/index.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import type { Tally } from "./tally.js";

/** What models reckon time in. Every span of theirs ends well between two multiples of it, or exactly at a half. */
export const UNIT_MS = 1_000_000;
/** Attempts in all, where handlers run in this process; small, so that dead letters are met. */
export const MAX_ATTEMPTS = 3;
/** By then a delivery that is tried at most `MAX_ATTEMPTS` times was tried often enough. */
export const DELIVERED_MS = 60_000;

/** When the first two attempts are over, at the latest, where the clock jumps. */
const ATTEMPTS_MS = [2_000, 5_000];

/** What a call came to: a value, or an error by its code. */
export type Outcome<T> = { readonly value: T } | { readonly error: CoordinationErrorCode };

/** What a run of steps needs to know of its backend besides the harness. */
export interface Surroundings {
  readonly harness: Harness;
  /** In every id of the run. */
  readonly label: string;
  /** The clock stands still between the steps, and moves over every instant: halves of a unit are exact. */
  readonly isExact: boolean;
  readonly tally: Tally;
  /** What the faults begin with. */
  readonly seed: number;
}

/** One run's corner of a backend: clients over a network with faults, its own clock and its own ids. */
export class World {
  readonly isExact: boolean;
  readonly tally: Tally;
  /** Where handlers run in this process, `MAX_ATTEMPTS` is the limit; elsewhere it is far away. */
  readonly maxAttempts: number;
  /** The client whose replies are lost now and then, and the one whose calls arrive twice. */
  readonly clients: readonly [Coordinator, Coordinator];
  /** The id of the last call. */
  lastOp = "";
  readonly #harness: Harness;
  readonly #label: string;
  readonly #log: RecordedDelivery[] = [];
  readonly #leaving = new AbortController();
  #halves = 0;
  #nowMs = 0;
  #forcedOp: string | undefined;

  constructor({ harness, label, isExact, tally, seed }: Surroundings) {
    this.isExact = isExact;
    this.tally = tally;
    this.#harness = harness;
    this.#label = label;
    this.maxAttempts = harness.deliveries === undefined ? MAX_ATTEMPTS : 12;
    const coordinator = harness.coordinator();
    const plan = { seed, chance: 0.15 };
    this.clients = [this.#heard(losingReplies(coordinator, plan)), this.#heard(duplicating(coordinator, plan))];
  }

  /** Since the run began, by the model's clock. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Ends the waits of this run. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  id(name: string): string {
    return `${name}~${this.#label}~`;
  }

  /** Trackers over both clients. The first one has the handlers, where they run in this process. */
  completionTrackers(options: { readonly ttlSec: number; readonly earlyTtlSec: number }): CompletionTracker[] {
    const isHere = this.#harness.deliveries === undefined;
    const retry = { maxAttempts: MAX_ATTEMPTS, baseDelayMs: 1_000, maxDelayMs: 8_000 };
    const handlers = caseHandlers((delivery) => void this.#log.push(delivery));
    const delivering = { handlers, retry, onEvent: () => {} };
    return this.clients.map((client, i) => {
      const here = isHere && i === 0 ? delivering : {};
      return new CompletionTracker(client, { waitUntil: () => {}, ...options, ...here } as object);
    });
  }

  /** Calls, as a late copy of the call `op` if that is given. Returns what it came to, and the call's id. */
  async call<T>(work: () => Promise<T>, op?: string): Promise<{ outcome: Outcome<T>; op: string }> {
    this.#forcedOp = op;
    try {
      return { outcome: { value: await work() }, op: this.lastOp };
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error;
      return { outcome: { error: error.code }, op: this.lastOp };
    } finally {
      this.#forcedOp = undefined;
    }
  }

  /**
   * Moves the clock by halves of a unit; by whole ones where it cannot stand still. There it jumps: what is owed is
   * delivered first, and what a deadline will bring as soon as it is over, by 0.55 of the unit that it ends at the half of.
   */
  async advance(halves: number, { isJustBefore = false, isOwing = false, isTimed = false } = {}): Promise<void> {
    this.#halves += this.isExact ? halves : halves + (halves % 2);
    const untilMs = (this.#halves * UNIT_MS) / 2 - (this.isExact && isJustBefore && halves > 0 ? 1 : 0);
    const stepMs = untilMs - this.#nowMs;
    this.#nowMs = untilMs;
    if (this.isExact || stepMs === 0) return this.#harness.advance(stepMs);
    for (let leftMs = stepMs; leftMs > 0; leftMs -= UNIT_MS) {
      let pastMs = 0;
      const stops = [
        ...(isOwing ? ATTEMPTS_MS : []),
        ...(isTimed ? [0.55 * UNIT_MS, 0.55 * UNIT_MS + 2_000] : []),
        UNIT_MS,
      ];
      for (const stopMs of stops) {
        await this.#harness.advance(stopMs - pastMs);
        pastMs = stopMs;
      }
    }
  }

  /** Lets what is owed be delivered, at the end of a run. */
  async deliver(): Promise<void> {
    for (const ms of [2_000, this.isExact ? DELIVERED_MS : 3_000]) {
      this.#nowMs += ms;
      await this.#harness.advance(ms);
    }
  }

  /** Lets what is due run to its end. */
  rest(): Promise<void> {
    return this.#harness.advance(0);
  }

  /** Far beyond everything that has an end. */
  async outlive(): Promise<void> {
    await this.#harness.advance(30 * 86_400_000);
  }

  async deliveries(groupId: string): Promise<readonly RecordedDelivery[]> {
    if (this.#harness.deliveries !== undefined) return this.#harness.deliveries(groupId);
    return this.#log.filter((delivery) => delivery.groupId === groupId);
  }

  leave(): void {
    this.#leaving.abort(new Error("the run is over"));
  }

  /** Hears the ids of calls, and sends late copies. */
  #heard(coordinator: Coordinator): Coordinator {
    const run = coordinator.run.bind(coordinator);
    coordinator.run = (transition, id, input, options) => {
      const { op: own } = Object(input) as { op?: string };
      if (own === undefined) return run(transition, id, input, options);
      const op = this.#forcedOp ?? own;
      this.lastOp = op;
      const deliveryId = Object.hasOwn(Object(input), "deliveryId") ? { deliveryId: `msg_${op}` } : {};
      return run(transition, id, { ...Object(input), op, ...deliveryId }, options);
    };
    return coordinator;
  }
}

/** Ends only what hangs. */
const HANGS_MS = 60_000;

/** What the promise comes to, which it must soon. */
export async function soon<T>(work: Promise<T>, what: string): Promise<T> {
  let stop = (): void => {};
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new ConformanceFailure(`${what} does not end`)), HANGS_MS);
    stop = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop();
  }
}
