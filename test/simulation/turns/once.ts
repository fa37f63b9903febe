import type { BeginInput, BeginOutput, FinishInput } from "../../../src/core/dedupe.js";
import type { TransitionName } from "../../../src/core/registry.js";
import type { Outcome } from "../simulate.js";
import { Violation } from "../violation.js";
import type { Process, Waiting } from "../world.js";
import { outcomeOf, Turns } from "./run.js";

const ID = "key";
const LEASE_MS = 9_000;
const POLL_MS = 5_000;
const LIMIT_MS = 3_000_000;
/** Windows within one run of the simulation, and beyond it. */
const WINDOWS_MS = [40_000, 86_400_000];

/** What the answers of the server promise: checked at each step. */
class OnceOracle {
  readonly #turns: () => Turns;
  /** The call that holds the key, as far as the answers say. */
  #holder: { readonly op: string; untilMs: number } | undefined;
  #done: { readonly op: string; readonly value: string | undefined; readonly untilMs: number } | undefined;
  readonly #begun = new Map<string, number>();
  readonly #over = new Set<string>();
  readonly #finished = new Set<string>();
  #lastToken = 0;
  #believers = 0;
  /** The key is forgotten while callers work, so two of them may. */
  isForgotten = false;

  constructor(turns: () => Turns) {
    this.#turns = turns;
  }

  observe(transition: TransitionName, input: unknown, output: unknown): void {
    const { nowMs } = this.#turns();
    const { op } = input as { op: string };
    if (this.#done !== undefined && this.#done.untilMs <= nowMs) this.#done = undefined;
    if (transition === "dedupe.begin") this.#begins(input as BeginInput, output as BeginOutput);
    else if (transition === "dedupe.finish") this.#finishes(input as FinishInput, (output as { held: boolean }).held);
    else if (transition === "dedupe.renew" && (output as { held: boolean }).held) {
      if (this.#holder?.op !== op) throw new Violation(`${op} renews a lease that ${this.#holder?.op} has`);
      this.#holder.untilMs = nowMs + LEASE_MS;
    } else if (transition === "dedupe.fail") {
      if (this.#holder?.op === op) this.#free();
    } else if (transition === "dedupe.claim" && (output as { claimed: boolean }).claimed) this.#claims(op);
    else if (transition === "dedupe.release" && this.#holder?.op === (input as { holder: string }).holder) this.#free();
    else if (transition === "dedupe.forget" && (output as { found: boolean }).found) {
      // A copy of a call that was applied changes nothing.
      if (!this.#over.has(op)) this.#free();
      this.#over.add(op);
      this.isForgotten = true;
    }
  }

  #free(): void {
    if (this.#holder !== undefined) this.#over.add(this.#holder.op);
    this.#holder = undefined;
    this.#done = undefined;
  }

  #take(op: string, untilMs: number): void {
    const { nowMs } = this.#turns();
    if (this.#holder?.op === op) return;
    if (this.#over.has(op)) this.#beginsAnew(op);
    if (this.#done !== undefined) throw new Violation(`${op} begins what ${this.#done.op} has done`);
    // A claim that is over leaves no record, so a clock that jumps back does not return to it.
    const mayBeGone = this.#turns().mode.jumps && this.#holder?.op.startsWith("claim");
    if (this.#holder !== undefined && this.#holder.untilMs > nowMs && !mayBeGone) {
      throw new Violation(`${op} takes the lease of ${this.#holder.op}`);
    }
    this.#free();
    this.#holder = { op, untilMs };
  }

  /** A clock that jumps forwards ends the memory of operations. To the server the late copy is a new call. */
  #beginsAnew(op: string): void {
    if (!this.#turns().mode.jumps) throw new Violation(`${op} begins anew after its end`);
    this.#over.delete(op);
    this.#begun.delete(op);
    this.#finished.delete(op);
  }

  #claims(op: string): void {
    if (!this.#over.has(op)) this.#take(op, this.#turns().nowMs + LEASE_MS);
  }

  #begins({ op, leaseMs }: BeginInput, { outcome, token = 0, value }: BeginOutput): void {
    if (outcome === "done" && (this.#done === undefined || this.#done.value !== value)) {
      throw new Violation(`${op} got ${value}, but the run returned ${this.#done?.value}`);
    }
    if (outcome !== "begun") return;
    this.#take(op, this.#turns().nowMs + leaseMs);
    const before = this.#begun.get(op);
    if (before !== undefined && before !== token) throw new Violation(`${op} has two tokens`);
    if (before === undefined && token <= this.#lastToken) throw new Violation(`the token falls to ${token}`);
    this.#begun.set(op, token);
    this.#lastToken = Math.max(this.#lastToken, token);
  }

  #finishes({ op, windowMs, value }: FinishInput, held: boolean): void {
    if (!held || this.#finished.has(op)) return;
    this.#finished.add(op);
    if (this.#done !== undefined) throw new Violation(`${op} and ${this.#done.op} both were first`);
    if (this.#holder?.op !== op) throw new Violation(`${op} finishes what ${this.#holder?.op} holds`);
    this.#holder = undefined;
    this.#done = { op, value, untilMs: this.#turns().nowMs + windowMs };
  }

  /** By the callers' own clocks too, one works at a time. A server's clock that jumps breaks that. */
  believe(more: 1 | -1): void {
    this.#believers += more;
    if (this.#believers > 1 && !this.isForgotten && !this.#turns().mode.jumps) {
      throw new Violation(`${this.#believers} callers believe that they hold the lease`);
    }
  }
}

/** One run: callers of one key that wait or do not, fail, crash, and meet a bad network. */
export function simulateOnce(seed: number): Outcome {
  const oracle: OnceOracle = new OnceOracle(() => turns);
  const turns: Turns = new Turns(seed, (transition, input, output) => oracle.observe(transition, input, output));
  const { world } = turns;
  // A clock that jumps back may return to an expired window.
  const windowMs = turns.mode.jumps ? (WINDOWS_MS[1] as number) : world.pick(WINDOWS_MS);
  const begin = (): void => {
    turns.jumpClock();
    for (let i = 3 + world.below(6); i > 0; i--) {
      const process = () => caller(`caller ${i}`, windowMs, turns, oracle);
      world.after(world.below(60_000), () => turns.spawn(`caller ${i}`, process, 0.25));
    }
    // A clock that jumps forwards ends the memory of operations: a late copy of a `forget` would forget again.
    const forgets = world.chance(0.2) && !turns.mode.jumps;
    if (forgets) world.after(world.below(90_000), () => turns.spawn("operator", () => forgetter(turns), 0));
    if (world.chance(0.3)) world.after(world.below(60_000), () => turns.spawn("claimer", () => claimer(turns), 0.2));
  };
  return outcomeOf(seed, turns, begin, LIMIT_MS);
}

function* forgetter({ network, world }: Turns): Process {
  for (let i = 1 + world.below(3); i > 0; i--) {
    yield* network.call("dedupe.forget", ID, { op: `forget ${i}` });
    yield { sleepMs: world.below(30_000) };
  }
}

function* claimer({ network, world }: Turns): Process {
  for (let i = 1 + world.below(3); i > 0; i--) {
    const { output } = yield* network.call("dedupe.claim", ID, { op: `claim ${i}`, ttlMs: LEASE_MS });
    yield { sleepMs: world.below(12_000) };
    if (output?.claimed !== true || world.chance(0.5)) continue;
    yield* network.call("dedupe.release", ID, { op: `release ${i}`, holder: `claim ${i}` });
  }
}

function* caller(name: string, windowMs: number, turns: Turns, oracle: OnceOracle): Process {
  const { world, network } = turns;
  const waits = world.chance(0.7);
  for (let round = 1; round < 200; round++) {
    const op = `${name}, ${round}`;
    const sentAtMs = world.nowMs;
    const { output } = yield* network.call("dedupe.begin", ID, { op, leaseMs: LEASE_MS, windowMs });
    if (output?.outcome === "done") return;
    if (output?.outcome === "begun") {
      if (yield* work(op, { windowMs, untilMs: sentAtMs + LEASE_MS }, turns, oracle)) return;
    } else if (output?.outcome === "busy" && !waits) return;
    else yield* settled(turns);
  }
}

/** Watches until no call holds the key, or its run is done. */
function* settled(turns: Turns): Generator<Waiting, void, never> {
  for (let looks = 0; looks < 20; looks++) {
    const { output } = yield* turns.network.call("dedupe.wait", ID, {});
    if (output?.ready) return;
    const recheckMs = output?.recheckInMs ?? 1_000;
    yield* turns.notified(Math.min(recheckMs + 10, turns.mode.hasTimers ? recheckMs : POLL_MS));
  }
}

/** Returns whether the work was done, or ended for good. */
function* work(
  op: string,
  lease: { windowMs: number; untilMs: number },
  { world, network }: Turns,
  oracle: OnceOracle,
): Generator<Waiting, boolean, never> {
  const { windowMs } = lease;
  const endMs = world.nowMs + world.below(20_000);
  let isOver = false;
  const stop = (): void => {
    if (!isOver) oracle.believe(-1);
    isOver = true;
  };
  const check = (): void => {
    if (isOver) return;
    if (world.nowMs >= lease.untilMs) stop();
    else world.after(lease.untilMs - world.nowMs, check);
  };
  if (lease.untilMs > world.nowMs) {
    oracle.believe(1);
    check();
  } else isOver = true;
  while (!isOver && world.nowMs < endMs) {
    yield { sleepMs: Math.min(LEASE_MS / 3, endMs - world.nowMs) };
    if (isOver || world.nowMs >= endMs) break;
    const renewedAtMs = world.nowMs;
    const { output } = yield* network.call("dedupe.renew", ID, { op, leaseMs: LEASE_MS, windowMs });
    if (output?.held === false) break;
    if (output?.held === true) lease.untilMs = renewedAtMs + LEASE_MS;
  }
  stop();
  // Work that does not heed its signal goes on after its lease.
  if (world.chance(0.3)) yield { sleepMs: world.below(15_000) };
  if (world.chance(0.25)) {
    yield* network.call("dedupe.fail", ID, { op });
    return world.chance(0.5);
  }
  const value = world.chance(0.8) ? JSON.stringify(op) : undefined;
  yield* network.call("dedupe.finish", ID, value === undefined ? { op, windowMs } : { op, windowMs, value });
  return true;
}
