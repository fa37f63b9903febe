import type { Clock } from "../lib/clock.js";
import type { Work } from "./backend.js";

/** How much work runs at once. */
export interface PoolSize {
  /** In all, without work that takes long. */
  readonly places: number;
  /** For one destination, including work that takes long. */
  readonly share: number;
  /** In all, including work that takes long. */
  readonly most: number;
}

/** The result of giving work to a pool. */
export interface Placed {
  /** The work did not begin, and will not. */
  readonly isHandedBack: boolean;
  /** Resolves when the work has ended. Never rejects. */
  readonly done: Promise<void>;
}

/** Ends all waits for a place. Not an `AbortSignal`, which would warn about its many listeners. */
export class Stop {
  isStopped = false;
  readonly #calls = new Set<() => void>();

  stop(): void {
    this.isStopped = true;
    for (const call of [...this.#calls]) call();
  }

  /** Calls back when it stops. Returns a function that removes the callback. */
  onStop(call: () => void): () => void {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }
}

/** The size for a long-lived process. */
export const SERVER_POOL: PoolSize = { places: 64, share: 32, most: 1_024 };
/** Workers open at most six connections at a time, and the backend needs some of them. */
export const EDGE_POOL: PoolSize = { places: 4, share: 3, most: 4 };

/** Work that takes longer than this frees its place for other work. */
const LONG_MS = 2_000;
/** How long a claim waits for a place at most. Its lease includes this time. */
export const MAX_WAIT_MS = 500;
/**
 * The delay before a claim that was handed back becomes due again. It grows with the number of claims of the
 * destination that were handed back before.
 */
const AGAIN_MS = 2_000;
const MAX_AGAIN_MS = 300_000;
/** How many idle destinations are remembered. */
const MAX_REMEMBERED = 1_000;
/** How many records may wait for a place, unclaimed. */
const MAX_PARKED = 10_000;

/** The state of one destination. */
interface Destination {
  readonly name: string;
  underWay: number;
  /** The last work failed. */
  hasFailed: boolean;
  /** A claim timed out waiting for a place, and no quick work has ended since. */
  isStuck: boolean;
  /** Approximately how many claims were handed back and have not been claimed again. */
  handedBack: number;
  /** `parked`: the function to call when there is room, by record. `called`: how many of these are still running. */
  readonly parked: Map<string, () => Promise<void>>;
  called: number;
}

/** A claim that waits for a place. */
interface Waiting {
  readonly work: Work;
  readonly destination: Destination;
  begin(): void;
}

/**
 * Runs work of unknown duration, such as handlers and webhooks. Work that hangs does not block other destinations:
 *
 * - Each destination has a share. Destinations whose last work failed have half of the places together.
 * - Work that takes long frees its place for other work, until `most` are under way.
 * - A claim waits at most half a second for a place. Then it is handed back. Later claims of the same destination are
 *   handed back at once, until a quick work of that destination ends. Their records may be parked meanwhile.
 * - First attempts run before retries.
 */
export class WorkPool {
  readonly #size: PoolSize;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #destinations = new Map<string, Destination>();
  readonly #waiting = new Set<Waiting>();
  /** The destinations with parked records. */
  readonly #parking = new Set<Destination>();
  #parked = 0;
  #underWay = 0;
  /** Work under way: `#long` counts the work that takes long. `#suspect` counts the rest whose destination had failed. */
  #long = 0;
  #suspect = 0;
  /** A claim timed out though its destination had room, and no quick work has ended since. */
  #isStuck = false;

  constructor(size: PoolSize, clock: Clock, random: () => number = Math.random) {
    this.#size = size;
    this.#clock = clock;
    this.#random = random;
  }

  /** Resolves once the work began, its claim was handed back, or its wait timed out. `stop`: claims wait no longer. */
  async place(work: Work, stop?: Stop): Promise<Placed> {
    const destination = this.#destination(work.destination);
    if (this.#hasRoom(destination)) return { isHandedBack: false, done: this.#begin(work, destination) };
    const isVain = stop?.isStopped === true || destination.isStuck || this.#isStuck;
    if (work.handBack === undefined || !isVain) {
      const placed = await this.#wait(work, destination, stop);
      if (placed !== undefined) return placed;
    }
    await this.#handBack(work, destination);
    return { isHandedBack: true, done: Promise.resolve() };
  }

  /**
   * Calls `claim` once the destination has room; it claims again what was handed back of the record. Resolves when that
   * is done. Also resolves when the record is dropped: by `stop`, or because too many are parked.
   */
  park(record: string, name: string, claim: () => Promise<void>, stop?: Stop): Promise<void> {
    const destination = this.#destination(name);
    if (this.#parked >= MAX_PARKED || stop?.isStopped || destination.parked.has(record)) return Promise.resolve();
    return new Promise((resolve) => {
      const remain = stop?.onStop(() => {
        this.#unpark(destination, record);
        resolve();
      });
      destination.parked.set(record, async () => {
        remain?.();
        await claim();
        resolve();
      });
      this.#parked++;
      this.#parking.add(destination);
      this.#callParked();
    });
  }

  #hasRoom({ underWay, hasFailed }: Destination): boolean {
    const { places, share, most } = this.#size;
    if (underWay >= share || this.#underWay >= most || this.#underWay - this.#long >= places) return false;
    return !hasFailed || this.#suspect < places / 2;
  }

  #begin(work: Work, destination: Destination): Promise<void> {
    const isSuspect = destination.hasFailed;
    let isLong = false;
    const step = (by: 1 | -1): void => {
      if (isLong) this.#long += by;
      else if (isSuspect) this.#suspect += by;
    };
    const onLong = (): void => {
      step(-1);
      isLong = true;
      step(1);
      this.#beginNext();
    };
    const cancel = this.#clock.setTimer(onLong, LONG_MS, { background: true });
    const beganAtMs = this.#clock.now();
    this.#underWay++;
    destination.underWay++;
    step(1);
    const running = work.run().catch(() => false);
    return running.then((isSuccess) => {
      cancel();
      this.#underWay--;
      destination.underWay--;
      step(-1);
      const isQuick = this.#clock.now() - beganAtMs < MAX_WAIT_MS;
      destination.hasFailed = !isSuccess;
      destination.handedBack = isSuccess && isQuick ? 0 : Math.max(0, destination.handedBack - 1);
      if (isQuick) {
        destination.isStuck = false;
        this.#isStuck = false;
      }
      this.#beginNext();
    });
  }

  /** Resolves with `undefined` when the claim timed out waiting for a place. */
  #wait(work: Work, destination: Destination, stop: Stop | undefined): Promise<Placed | undefined> {
    return new Promise((resolve) => {
      let end = (): void => {};
      const done = new Promise<void>((resolveDone) => {
        end = resolveDone;
      });
      const leave = (): void => {
        cancel();
        remain?.();
      };
      const waiting: Waiting = {
        work,
        destination,
        begin: () => {
          leave();
          this.#waiting.delete(waiting);
          void this.#begin(work, destination).then(end);
          resolve({ isHandedBack: false, done });
        },
      };
      const giveUp = (): void => {
        leave();
        if (destination.underWay >= this.#size.share || destination.hasFailed) destination.isStuck = true;
        else this.#isStuck = true;
        if (work.handBack !== undefined) this.#waiting.delete(waiting);
        resolve(work.handBack === undefined ? { isHandedBack: false, done } : undefined);
      };
      this.#waiting.add(waiting);
      const cancel = this.#clock.setTimer(giveUp, MAX_WAIT_MS, { background: true });
      const remain = stop?.onStop(giveUp);
      if (stop?.isStopped) giveUp();
    });
  }

  #beginNext(): void {
    for (const isRetry of [false, true]) {
      for (const { work, destination, begin } of [...this.#waiting]) {
        if (work.isRetry === isRetry && this.#hasRoom(destination)) begin();
      }
    }
    this.#callParked();
  }

  #callParked(): void {
    for (const destination of this.#parking) {
      for (const [record, call] of destination.parked) {
        if (!this.#hasRoom(destination) || destination.underWay + destination.called >= this.#size.share) break;
        this.#unpark(destination, record);
        destination.called++;
        void call().then(() => {
          destination.called--;
          this.#callParked();
        });
      }
    }
  }

  #unpark(destination: Destination, record: string): void {
    if (!destination.parked.delete(record)) return;
    this.#parked--;
    if (destination.parked.size === 0) this.#parking.delete(destination);
  }

  async #handBack(work: Work, destination: Destination): Promise<void> {
    const waves = 1 + Math.floor(destination.handedBack++ / this.#size.share);
    const afterMs = Math.min(waves * AGAIN_MS, MAX_AGAIN_MS) * (0.5 + this.#random() / 2);
    await work.handBack?.(Math.round(afterMs));
  }

  #destination(name: string): Destination {
    let destination = this.#destinations.get(name);
    if (destination === undefined) {
      if (this.#destinations.size >= MAX_REMEMBERED) this.#forgetIdle();
      destination = {
        name,
        underWay: 0,
        hasFailed: false,
        isStuck: false,
        handedBack: 0,
        parked: new Map(),
        called: 0,
      };
      this.#destinations.set(name, destination);
    }
    return destination;
  }

  #forgetIdle(): void {
    const inUse = new Set([...this.#waiting].map(({ destination }) => destination));
    for (const destination of this.#destinations.values()) {
      const { name, underWay, parked, called } = destination;
      const isIdle = underWay + parked.size + called === 0 && !inUse.has(destination);
      if (isIdle) this.#destinations.delete(name);
    }
  }
}
