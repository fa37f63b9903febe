import type { InputOf, OutputOf } from "../core/registry.js";
import type { Clock } from "../lib/clock.js";
import { isEphemeral } from "../lib/ephemeral.js";
import type { DeliveringMachine, Wake, WakingMachine, Work } from "./backend.js";
import type { OnEvent } from "./events.js";
import { emit } from "./events.js";
import { recordName } from "./placement.js";
import { EDGE_POOL, type Placed, SERVER_POOL, type Stop, WorkPool } from "./work-pool.js";

type AnyWake = Wake<WakingMachine>;
/** A registered waker, with its work in parts. */
type Waker = Omit<Required<AnyWake>, "act" | "waitUntil"> & Pick<AnyWake, "waitUntil">;
type WokenName = `${WakingMachine}.woken`;
type KeepAlive = NonNullable<AnyWake["waitUntil"]>;

const LOOK_AGAIN_MS = 10_000;
const MAX_LOOKED = 1_000;
/** How many records are woken concurrently after the calls that made them due. */
const SOON_AT_ONCE = 32;
/** How many further records may queue for that. Beyond it they wait for a drain, or for the next call. */
const MAX_SOON = 10_000;

/** How long a request's pool is reused. Longer than edge platforms let work run after the response. */
const REQUEST_MS = 60_000;

/** Whether a machine has deliveries. */
const DELIVERS: { readonly [M in WakingMachine]: M extends DeliveringMachine ? true : false } = {
  completion: true,
  request: true,
  semaphore: false,
};
/** The waker of machines without deliveries: only their `woken` transition runs. */
const PLAIN: AnyWake = { input: () => ({}), act: async () => {}, works: () => [] };

/** How a call left its record. */
interface Due {
  /** This call made the record due. */
  readonly isFresh: boolean;
  /** Keeps the caller's invocation alive. */
  readonly waitUntil: KeepAlive | undefined;
}

/** The result of waking one record. */
export interface Woken {
  /** `handed_back`: all claims were handed back unsent. `failed`: a step failed, and the record may still be due. */
  readonly outcome: "woken" | "handed_back" | "failed";
  /** Resolves when all work that began has ended. Never rejects. */
  readonly done: Promise<void>;
  /**
   * Resolves to true when the claims that were handed back were claimed again and have ended. Resolves to false when
   * they are left to other processes. Never rejects.
   */
  readonly parked: Promise<boolean>;
}

/** How a drain wakes one record. */
export interface WakeOptions {
  /** Where the work runs. Default: the coordinator's own pool. */
  readonly pool?: WorkPool | undefined;
  /** After it stops, no claim and no record waits for a place. */
  readonly stop?: Stop | undefined;
}

export interface WakersOptions {
  /** Runs the `woken` transition of one record. */
  run(
    machine: WakingMachine,
    id: string,
    input: InputOf<WokenName>,
  ): OutputOf<WokenName> | Promise<OutputOf<WokenName>>;
  /** The coordinator's own waker of deliveries, used when no waker is registered. */
  readonly own: Wake<DeliveringMachine>;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
  /** Default: a pool of the size for servers. */
  readonly pool?: WorkPool | undefined;
}

/** A record that is queued to be woken after a call. */
interface Soon {
  readonly machine: WakingMachine;
  readonly id: string;
  readonly done: Promise<void>;
  finish(): void;
}

/**
 * Wakes records: each registered waker, or the coordinator's own, claims due work. The claimed work runs in a pool.
 *
 * The last waker postpones deliveries that this process cannot make. There is one exception: a call made the record
 * due, and no waker is registered. Then the deliveries stay due, because another process may be able to make them.
 *
 * Each error is reported as `wake_failed`, and the next waker still runs.
 */
export class Wakers {
  readonly #options: WakersOptions;
  readonly #pool: WorkPool;
  /** When the coordinator's own waker last ran for records that stay due. */
  readonly #looked = new Map<string, number>();
  readonly #byMachine = new Map<string, Set<Waker>>();
  readonly #own: Waker;
  readonly #plain = inParts(PLAIN, "plain");
  /** How many wakers were registered so far. */
  #count = 0;
  readonly #soon = new Map<string, Soon>();
  #underWay = 0;
  readonly #pools = new WeakMap<KeepAlive, { readonly pool: WorkPool; readonly untilMs: number }>();

  constructor(options: WakersOptions) {
    this.#options = options;
    this.#pool = options.pool ?? new WorkPool(SERVER_POOL, options.clock);
    this.#own = inParts(options.own as AnyWake, "own");
  }

  add(machine: WakingMachine, wake: AnyWake): () => void {
    const waker = inParts(wake, `waker-${++this.#count}`);
    const wakers = this.#byMachine.get(machine) ?? new Set();
    this.#byMachine.set(machine, wakers.add(waker));
    return () => wakers.delete(waker);
  }

  /**
   * Wakes a record after a call, which does not wait for it. On edge platforms without a `waitUntil`, the request's end
   * would cut the attempt short. The record is then left to `drain`. The coordinator's own waker runs when the record
   * becomes due, and then at most every ten seconds: most records that stay due are for other processes.
   */
  wakeSoon(machine: WakingMachine, id: string, { isFresh, waitUntil }: Due): void {
    const wakers = this.#of(machine);
    if (wakers.length === 0 && !this.#mayLook(recordName(machine, id)) && !isFresh) return;
    const keepers = [waitUntil, ...wakers.map((waker) => waker.waitUntil)].filter((keep) => keep !== undefined);
    if (!isEphemeral()) this.#keep(machine, id, this.#queue(machine, id), keepers);
    else if (keepers[0] !== undefined) {
      this.#keep(machine, id, this.#finish(machine, id, { pool: this.#poolOf(keepers[0]) }), keepers);
    }
  }

  /**
   * Runs `woken` for all registered wakers, or for the coordinator's own. Resolves once the claimed work began or was
   * handed back. Never rejects.
   */
  async wake(machine: WakingMachine, id: string, options: WakeOptions = {}): Promise<Woken> {
    const wakers = this.#of(machine);
    const woken = await this.#wakeAll(machine, id, {
      ...options,
      wakers: wakers.length === 0 ? [this.#ownOf(machine)] : wakers,
    });
    const keepers = wakers.map((waker) => waker.waitUntil).filter((keep) => keep !== undefined);
    this.#keep(machine, id, woken.done, keepers);
    return woken;
  }

  /**
   * Returns a pool for one drain, where work ends with its request: no request may wait for another request's work
   * there.
   */
  poolOfDrain(): WorkPool | undefined {
    return isEphemeral() ? new WorkPool(EDGE_POOL, this.#options.clock) : undefined;
  }

  /**
   * Returns the pool of one request, identified by its `waitUntil`. When all requests share one `waitUntil`, the pool
   * is replaced after a while: a killed request never frees its places.
   */
  #poolOf(keeper: KeepAlive): WorkPool {
    const { clock } = this.#options;
    const nowMs = clock.now();
    const known = this.#pools.get(keeper);
    if (known !== undefined && nowMs < known.untilMs) return known.pool;
    const pool = new WorkPool(EDGE_POOL, clock);
    this.#pools.set(keeper, { pool, untilMs: nowMs + REQUEST_MS });
    return pool;
  }

  /** Whether the coordinator's own waker may run again for a record that stays due. */
  #mayLook(record: string): boolean {
    const nowMs = this.#options.clock.now();
    if (nowMs - (this.#looked.get(record) ?? 0) < LOOK_AGAIN_MS) return false;
    if (this.#looked.size >= MAX_LOOKED) this.#looked.clear();
    this.#looked.set(record, nowMs);
    return true;
  }

  #of(machine: WakingMachine): readonly Waker[] {
    return [...(this.#byMachine.get(machine) ?? [])];
  }

  /** Returns the coordinator's own waker for a machine. */
  #ownOf(machine: WakingMachine): Waker {
    return DELIVERS[machine] ? this.#own : this.#plain;
  }

  #keep(machine: string, id: string, work: Promise<unknown>, keepers: readonly KeepAlive[]): void {
    for (const waitUntil of new Set(keepers)) void this.#guard(machine, id, async () => waitUntil(work));
  }

  /** Queues a record to be woken. Resolves when that is done. */
  #queue(machine: WakingMachine, id: string): Promise<void> {
    const name = recordName(machine, id);
    let soon = this.#soon.get(name);
    if (soon !== undefined) return soon.done;
    if (this.#soon.size >= MAX_SOON) return Promise.resolve();
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    soon = { machine, id, done, finish };
    this.#soon.set(name, soon);
    this.#wakeNext();
    return done;
  }

  #wakeNext(): void {
    for (const [name, { machine, id, finish }] of this.#soon) {
      if (this.#underWay >= SOON_AT_ONCE) return;
      this.#soon.delete(name);
      this.#underWay++;
      const onPlaced = (): void => {
        this.#underWay--;
        this.#wakeNext();
      };
      void this.#finish(machine, id, { onPlaced }).then(finish);
    }
  }

  /** Wakes a record after a call. Resolves when its work has ended. */
  async #finish(
    machine: WakingMachine,
    id: string,
    { onPlaced, ...options }: WakeOptions & { readonly onPlaced?: () => void },
  ): Promise<void> {
    const registered = this.#of(machine);
    const wakers = registered.length === 0 ? [leaving(this.#ownOf(machine))] : registered;
    const { done, parked } = await this.#wakeAll(machine, id, { ...options, wakers });
    onPlaced?.();
    await done;
    // A request's own pool ends with the request, so it waits for parked records too.
    if (options.pool !== undefined) await parked;
  }

  /** Runs the `woken` transitions one after the other, and what they claim concurrently. Never rejects. */
  async #wakeAll(
    machine: WakingMachine,
    id: string,
    { wakers, pool = this.#pool, stop }: WakeOptions & { readonly wakers: readonly Waker[] },
  ): Promise<Woken> {
    const placing: Promise<Placed & { readonly destination: string }>[] = [];
    let isFailed = false;
    const place = async (work: Work): Promise<Placed & { readonly destination: string }> => ({
      ...(await pool.place(this.#guarded(machine, id, work), stop)),
      destination: work.destination,
    });
    for (const waker of wakers) {
      const isAsked = await this.#guard(machine, id, async () => {
        // Only the last waker postpones what this process cannot deliver.
        const input = (waker === wakers.at(-1) ? waker : leaving(waker)).input();
        const output = await this.#options.run(machine, id, input);
        for (const work of waker.works(id, output, machine)) placing.push(place(work));
      });
      if (!isAsked) isFailed = true;
    }
    const placed = await Promise.all(placing);
    const handedBack = placed.find(({ isHandedBack }) => isHandedBack);
    const isHandedBack = placed.length > 0 && placed.every((one) => one.isHandedBack);
    return {
      outcome: isFailed ? "failed" : isHandedBack ? "handed_back" : "woken",
      done: allOf(placed.map(({ done }) => done)),
      parked:
        handedBack === undefined ? Promise.resolve(false) : this.#park(machine, id, { pool, stop, ...handedBack }),
    };
  }

  /** Claims the record again once there is room for what was handed back. */
  async #park(
    machine: WakingMachine,
    id: string,
    { pool, stop, destination }: WakeOptions & { readonly pool: WorkPool; readonly destination: string },
  ): Promise<boolean> {
    let woken: Woken | undefined;
    const claim = async (): Promise<void> => {
      woken = await this.wake(machine, id, { pool, stop });
    };
    await pool.park(recordName(machine, id), destination, claim, stop);
    await woken?.done;
    return woken?.outcome === "woken" || ((await woken?.parked) ?? false);
  }

  /** Returns the same work; its failures are reported. */
  #guarded(machine: WakingMachine, id: string, work: Work): Work {
    const run = async (): Promise<boolean> => {
      let isSuccess = false;
      await this.#guard(machine, id, async () => {
        isSuccess = await work.run();
      });
      return isSuccess;
    };
    const handBack = async (afterMs: number): Promise<void> => {
      await this.#guard(machine, id, async () => work.handBack?.(afterMs));
    };
    const { destination, isRetry } = work;
    return { destination, isRetry, run, ...(work.handBack && { handBack }) };
  }

  /** Runs the work and reports its error. Returns whether it succeeded. */
  async #guard(machine: string, id: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      emit(this.#options.onEvent, { type: "wake_failed", machine, id, error });
      return false;
    }
  }
}

async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.all(promises);
}

/** Returns the same waker, but it leaves deliveries that it cannot make unchanged. */
function leaving({ input, works, waitUntil }: Waker): Waker {
  return { input: () => ({ ...input(), more: true }), works, waitUntil };
}

/** Returns a waker in parts. A waker without `works` becomes a single part with a destination of its own. */
function inParts(wake: AnyWake, destination: string): Waker {
  const whole: AnyWake["works"] = (id, output, machine) => {
    const run = async (): Promise<boolean> => {
      await wake.act(id, output, machine);
      return true;
    };
    return [{ destination, isRetry: false, run }];
  };
  return {
    input: () => wake.input(),
    works: (id, output, machine) => (wake.works === undefined ? whole : wake.works.bind(wake))(id, output, machine),
    waitUntil: wake.waitUntil,
  };
}
