import { seededRandom } from "../../src/testing/index.js";
import { inOrder, type Policy, type Restart, type Spec, type Task, type TaskDone } from "./group-record.js";

interface Named {
  readonly generation?: number;
}

/** A call of a transition, in the words of the model. */
export type Call = { readonly op: string } & (
  | { readonly step: "register"; readonly spec: Spec; readonly restart?: Restart | undefined }
  | ({ readonly step: "ack"; readonly tasks: readonly TaskDone[]; readonly next?: readonly Task[] } & Named)
  | ({ readonly step: "add" | "retry"; readonly tasks: readonly Task[] } & Named)
  | ({ readonly step: "seal" | "cancel" | "heartbeat" } & Named)
  | ({ readonly step: "extend"; readonly timeoutMs: number } & Named)
  | ({ readonly step: "decrement"; readonly by: number } & Named)
  | ({
      readonly step: "count";
      readonly stage: string;
      readonly processed?: number;
      readonly requeued?: number;
      readonly error?: string;
    } & Named)
  | { readonly step: "remove" }
);

/** The record is kept for so long that silence ends no group. */
const TTL_MS = 1_000_000_000;
export const EARLY_TTL_MS = 1_000_000_000;

/** Makes the calls of one random sequence. Few names, so that calls meet. */
export class CallSource {
  readonly #random: () => number;
  readonly #ids: readonly string[];
  readonly #stages: readonly string[];
  readonly #restarts: boolean;
  readonly #removes: boolean;
  readonly #clocks: boolean;
  #calls = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#ids = ["a", "b", "c", "d", "e", "f"].slice(0, 3 + this.below(4));
    this.#stages = this.chance(0.4) ? ["", "p", "q"] : [""];
    this.#restarts = this.chance(0.5);
    this.#removes = this.chance(0.3);
    this.#clocks = this.chance(0.4);
  }

  below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  chance(p: number): boolean {
    return this.#random() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** By how much the clock moves before the next call. */
  pauseMs(): number {
    if (!this.chance(0.2)) return 0;
    return this.#clocks && this.chance(0.3) ? this.pick([1_000, 10_000, 25_000]) : this.below(3);
  }

  /** `generations`: those that were seen, the latest last. */
  next(generations: readonly number[]): Call {
    const op = `o${++this.#calls}`;
    const named = this.chance(0.3) && generations.length > 0 ? { generation: this.pick(generations.slice(-3)) } : {};
    const what = this.#random();
    if (what < 0.14) return this.#registration(op, generations.at(-1) ?? 5);
    if (what < 0.6) return { op, step: "ack", ...this.#ack(), ...named };
    if (what < 0.72) return { op, step: "add", tasks: this.#some(3), ...named };
    if (what < 0.77) return { op, step: "seal", ...named };
    if (what < 0.86) return { op, step: "retry", tasks: this.#some(3), ...named };
    if (what < 0.89) return { op, step: "decrement", by: 1 + this.below(2), ...named };
    if (what < 0.93) return { op, step: "count", ...this.#counts(), ...named };
    if (what < 0.95) return { op, step: "extend", timeoutMs: this.pick([10_000, 60_000]), ...named };
    if (what < 0.97) return { op, step: "heartbeat", ...named };
    return what < 0.985 || !this.#removes ? { op, step: "cancel", ...named } : { op, step: "remove" };
  }

  #registration(op: string, from: number): Call {
    const isCounted = this.chance(0.12);
    const grows = !isCounted && this.chance(0.6);
    const tasks = isCounted ? this.below(4) : grows && this.chance(0.4) ? [] : this.#some(4);
    const most = grows ? 9 : typeof tasks === "number" ? tasks : tasks.length;
    const policy = this.chance(0.4) ? this.#policy(most) : undefined;
    const clocks = this.#clocks
      ? { timeoutMs: this.pick([0, 20_000, 60_000]), idleMs: this.pick([undefined, 15_000]) }
      : { timeoutMs: 0 };
    const spec = { fingerprint: `f${this.below(3)}`, tasks, grows, policy, ttlMs: TTL_MS, ...clocks };
    return { op, step: "register", spec, restart: this.#restart(from) };
  }

  #restart(from: number): Restart | undefined {
    if (!this.#restarts || this.chance(0.5)) return undefined;
    if (this.chance(0.3)) return {};
    return this.chance(0.6) ? { from, keep: "succeeded" } : { from };
  }

  #policy(most: number): Policy | undefined {
    const policies: readonly Policy[] = [
      { minSuccessful: 1 + this.below(2) },
      { toleratedFailureCount: this.below(2) },
      { toleratedFailurePpm: this.pick([0, 250_000, 500_000]) },
      { minSuccessful: 2, toleratedFailureCount: 1 },
      { minSuccessful: 1, toleratedFailurePpm: 250_000 },
    ];
    const policy = this.pick(policies);
    return (policy.minSuccessful ?? 0) > most ? undefined : policy;
  }

  #ack(): { tasks: TaskDone[]; next?: Task[] } {
    const tasks = Array.from({ length: this.chance(0.3) ? 1 + this.below(3) : 1 }, () => this.#done());
    return this.chance(0.2) ? { tasks, next: this.#some(2) } : { tasks };
  }

  #done(): TaskDone {
    const task = { ...this.#task(), ...(this.chance(0.3) ? { processed: this.below(3) } : {}) };
    if (this.chance(0.25)) return { ...task, error: this.pick(["broken", "lost"]) };
    return this.chance(0.3) ? { ...task, result: this.below(9) } : task;
  }

  #counts(): { stage: string; processed?: number; requeued?: number; error?: string } {
    const stage = this.pick(["p", "q"]);
    return this.pick([
      { stage, processed: 2 },
      { stage, requeued: 1 },
      { stage, error: "passing" },
    ]);
  }

  #some(most: number): Task[] {
    return inOrder(Array.from({ length: 1 + this.below(most) }, () => this.#task()));
  }

  #task(): Task {
    const [stage, id] = [this.pick(this.#stages), this.pick(this.#ids)];
    return stage === "" ? { id } : { stage, id };
  }
}
