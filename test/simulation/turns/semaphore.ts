import type { TransitionName } from "../../../src/core/registry.js";
import type { AcquireInput, AcquireOutput } from "../../../src/core/semaphore.js";
import type { Outcome } from "../simulate.js";
import { Violation } from "../violation.js";
import type { Process, Waiting } from "../world.js";
import { outcomeOf, Turns } from "./run.js";

const ID = "key";
const LEASE_MS = 12_000;
const POLL_MS = 5_000;
/** How long an operation is known after its last release. */
const KNOWN_MS = 60_000;
/** Far beyond the lease of every permit and the offer of every dead caller. */
const LIMIT_MS = 3_600_000;

interface Grant {
  readonly token: number;
  untilMs: number;
}

/** What the answers of the server promise: checked at each step. */
class SemaphoreOracle {
  readonly held = new Map<string, Grant>();
  readonly #releasedAtMs = new Map<string, number>();
  /** Whose permit a release gave back. */
  readonly #given = new Set<string>();
  /** Whose permit has ended, by a release or with its lease. */
  readonly #ended = new Set<string>();
  lastToken = 0;
  /** How many callers believe that they hold a permit, by their own clocks. */
  believers = 0;

  constructor(
    readonly permits: number,
    readonly turns: () => Turns,
  ) {}

  observe(transition: TransitionName, input: unknown, output: unknown): void {
    const { nowMs } = this.turns();
    for (const [op, { untilMs }] of this.held) {
      if (untilMs > nowMs) continue;
      this.held.delete(op);
      this.#ended.add(op);
    }
    const { op, leaseMs } = input as { op: string; leaseMs: number };
    if (transition === "semaphore.acquire") this.#acquired(input as AcquireInput, output as AcquireOutput);
    if (transition === "semaphore.release") this.#releases(op, (output as { released: boolean }).released);
    const grant = this.held.get(op);
    if (transition === "semaphore.extend" && (output as { held: boolean }).held) {
      if (grant === undefined) throw new Violation(`${op} extends a lease that it does not have`);
      grant.untilMs = nowMs + leaseMs;
    }
    if (this.held.size > this.permits) throw new Violation(`${this.held.size} hold ${this.permits} permits`);
  }

  #releases(op: string, released: boolean): void {
    const isKnown = this.#isKnown(op);
    const isFirst = this.held.delete(op);
    // A copy of a release has the output of the first, as long as the operation is known.
    const wanted = isFirst || (isKnown && this.#given.has(op));
    if (released !== wanted && !this.turns().mode.jumps) throw new Violation(`the release of ${op} says ${released}`);
    if (wanted) this.#given.add(op);
    else this.#given.delete(op);
    this.#ended.add(op);
    this.#releasedAtMs.set(op, this.turns().nowMs);
  }

  #isKnown(op: string): boolean {
    return this.turns().nowMs - (this.#releasedAtMs.get(op) ?? Number.NEGATIVE_INFINITY) < KNOWN_MS;
  }

  #acquired({ op, leaseMs }: AcquireInput, { outcome, token = 0 }: AcquireOutput): void {
    if (outcome === "over" && !this.#ended.has(op)) throw new Violation(`${op} is over, and had no permit`);
    if (outcome !== "granted") return;
    const before = this.held.get(op);
    if (before !== undefined) {
      if (before.token !== token) throw new Violation(`${op} has two tokens`);
      return;
    }
    // A clock that jumps forwards ends the memory of operations.
    if (this.#isKnown(op) && !this.turns().mode.jumps) throw new Violation(`${op} takes a permit after its release`);
    if (token <= this.lastToken) throw new Violation(`the token falls from ${this.lastToken} to ${token}`);
    this.lastToken = token;
    this.held.set(op, { token, untilMs: this.turns().nowMs + leaseMs });
  }

  /** By the callers' own clocks too, no more hold than there are permits. A server's clock that jumps breaks that. */
  believe(more: 1 | -1): void {
    this.believers += more;
    if (this.believers > this.permits && !this.turns().mode.jumps) {
      throw new Violation(`${this.believers} callers believe that they hold ${this.permits} permits`);
    }
  }
}

/** One run: callers that wait, work, crash, give up and meet a bad network. */
export function simulateSemaphore(seed: number): Outcome {
  const permits = 1 + (Math.floor(seed / 4) % 3);
  const oracle: SemaphoreOracle = new SemaphoreOracle(permits, () => turns);
  const turns: Turns = new Turns(seed, (transition, input, output) => oracle.observe(transition, input, output));
  const { world, server, mode } = turns;
  server.onDue = (machine) => {
    if (mode.hasTimers && machine === "semaphore") server.apply("semaphore.woken", ID, {});
  };
  const begin = (): void => {
    turns.jumpClock();
    for (let i = 3 + world.below(8); i > 0; i--) {
      const name = `caller ${i}`;
      world.after(world.below(60_000), () => turns.spawn(name, () => caller(name, turns, oracle), 0.2));
    }
  };
  return outcomeOf(seed, turns, begin, LIMIT_MS);
}

function* caller(name: string, turns: Turns, oracle: SemaphoreOracle): Process {
  const { world, network } = turns;
  for (let round = 1 + world.below(3); round > 0; round--) {
    const op = `${name}, ${round}`;
    const givesUpMs = world.chance(0.2) ? world.nowMs + world.below(40_000) : Number.POSITIVE_INFINITY;
    const untilMs = yield* acquire(op, givesUpMs, turns, oracle);
    if (untilMs !== undefined) yield* work(op, untilMs, turns, oracle);
    yield* network.call("semaphore.release", ID, { op });
    yield { sleepMs: world.below(5_000) };
  }
}

/** Returns when the lease is over by the caller's own clock; undefined without a permit. */
function* acquire(
  op: string,
  givesUpMs: number,
  turns: Turns,
  oracle: SemaphoreOracle,
): Generator<Waiting, number | undefined, never> {
  const { world, network } = turns;
  while (world.nowMs < givesUpMs) {
    const sentAtMs = world.nowMs;
    const input = { op, permits: oracle.permits, leaseMs: LEASE_MS, queue: true };
    const { output } = yield* network.call("semaphore.acquire", ID, input);
    if (output?.outcome === "granted") return sentAtMs + (output.leftMs ?? 0);
    if (output?.outcome === "over") return undefined;
    if (output?.outcome === "queued") yield* turn(op, givesUpMs, turns);
    else yield { sleepMs: 500 };
  }
  return undefined;
}

/** Watches until the caller's turn has come, or it gives up. */
function* turn(op: string, givesUpMs: number, turns: Turns): Generator<Waiting, void, never> {
  const { world, network, mode } = turns;
  while (world.nowMs < givesUpMs) {
    const { output } = yield* network.call("semaphore.turn", ID, { op });
    if (output?.ready) return;
    if (world.chance(0.02)) {
      // A caller that disconnects gives up its place, and comes back with the same operation.
      yield* network.call("semaphore.leave", ID, { op });
      return;
    }
    const recheckMs = output?.recheckInMs ?? 1_000;
    yield* turns.notified(Math.min(recheckMs + 10, mode.hasTimers ? recheckMs : POLL_MS), op);
  }
}

/** Works under the lease: renews it, and stops when it is over by the caller's own clock. */
function* work(op: string, leasedUntilMs: number, { world, network }: Turns, oracle: SemaphoreOracle): Process {
  let untilMs = leasedUntilMs;
  const endMs = world.nowMs + world.below(25_000);
  if (untilMs <= world.nowMs) return;
  oracle.believe(1);
  let isOver = false;
  const stop = (): void => {
    if (!isOver) oracle.believe(-1);
    isOver = true;
  };
  const check = (): void => {
    if (isOver) return;
    if (world.nowMs >= untilMs) stop();
    else world.after(untilMs - world.nowMs, check);
  };
  check();
  while (!isOver && world.nowMs < endMs) {
    yield { sleepMs: Math.min(LEASE_MS / 3, endMs - world.nowMs) };
    if (isOver || world.nowMs >= endMs) break;
    const renewedAtMs = world.nowMs;
    const { output } = yield* network.call("semaphore.extend", ID, { op, leaseMs: LEASE_MS });
    if (output?.held === false) break;
    if (output?.held === true && !isOver) untilMs = renewedAtMs + LEASE_MS;
  }
  stop();
}
