import { type Restart, type Spec, sameSpec, type Target, total } from "./completion-spec.js";
import { DeliveryModel } from "./delivery-model.js";
import type { Outcome } from "./world.js";

export interface TaskDone {
  readonly id: string;
  readonly error?: string;
  readonly result?: unknown;
}

type State = "open" | "completed" | "timed_out" | "cancelled";

interface Generation {
  readonly spec: Spec;
  /** As the backend has numbered it. */
  readonly number: number;
  readonly from: number | undefined;
  /** The tasks that counted, each with the call that it counted by. */
  readonly counted: Map<string, string>;
  /** The decrements, each with its time. */
  readonly anonymousOps: Map<string, number>;
  readonly errors: { taskId: string; message: string }[];
  readonly results: { taskId: string; result: unknown }[];
  readonly deadlineAtMs: number | undefined;
  succeeded: number;
  state: State;
  reason: string | null;
  endedBy: string | undefined;
  endedAtMs: number;
  writtenAtMs: number;
  /** When a waiter last put off its end by silence. */
  renewedAtMs: number;
  delivery: DeliveryModel | undefined;
}

const OWN_TARGET: Partial<Record<State, Target["end"]>> = { completed: "onComplete", timed_out: "onTimeout" };

interface Early {
  readonly task: TaskDone;
  readonly op: string;
  untilMs: number;
}

export interface AckExpectation {
  readonly verdict: "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";
  readonly state: State | "unregistered";
  readonly ended: boolean;
  readonly remaining: number | null;
  readonly generation: number | null;
}

/** One group's id, as the documents promise it to behave. */
export class GroupModel {
  readonly earlyTtlMs: number;
  readonly maxAttempts: number;
  /** The generations of the record that stands, and the calls that made them. */
  readonly made = new Map<string, number>();
  /** Of all generations that ever were. */
  readonly deliveries: DeliveryModel[] = [];
  current: Generation | undefined;
  /** The newest number that was ever seen. */
  highest = -1;
  /** How many wait for it, so that it does not end by silence. */
  waiting = 0;
  #early = new Map<string, Early>();
  #nowMs = 0;

  constructor(options: { readonly earlyTtlMs: number; readonly maxAttempts: number }) {
    this.earlyTtlMs = options.earlyTtlMs;
    this.maxAttempts = options.maxAttempts;
  }

  /** A delivery is under way. */
  get isOwing(): boolean {
    return this.deliveries.some((delivery) => !delivery.isOver && !delivery.isNobodys);
  }

  /** Its end by time will bring one. */
  get isTimed(): boolean {
    return this.current?.state === "open" && this.#hasTimeoutTarget(this.current) && !this.#isForNobody(this.current);
  }

  /** Whether it ends by its idle timeout, which waiting callers can extend. */
  get isSilent(): boolean {
    return this.current?.state === "open" && this.current.deadlineAtMs === undefined;
  }

  #hasTimeoutTarget({ spec: { target } }: Generation): boolean {
    return target !== undefined && target.end !== "onComplete";
  }

  #isForNobody({ spec: { target } }: Generation): boolean {
    return target?.handler === "nobody";
  }

  /** Time goes on: the end by time, then the end of what was kept. Returns what happened. */
  tick(nowMs: number): ("timed out" | "timed out by silence" | "expired")[] {
    this.#nowMs = nowMs;
    const met: ("timed out" | "timed out by silence" | "expired")[] = [];
    for (const delivery of this.deliveries) delivery.tick(nowMs);
    const { current } = this;
    if (current === undefined) return met;
    if (this.isSilent && this.waiting > 0) current.renewedAtMs = nowMs;
    if (current.state === "open" && this.#endsAtMs(current) <= nowMs) {
      const isByDeadline = current.deadlineAtMs !== undefined;
      // Where no timer rings for silence, the next look applies it: every group is looked at when the clock has moved.
      const hasTimer = isByDeadline || this.#hasTimeoutTarget(current);
      this.#end(current, "timed_out", "time", hasTimer ? this.#endsAtMs(current) : nowMs);
      current.delivery?.tick(nowMs);
      met.push(isByDeadline ? "timed out" : "timed out by silence");
    }
    if (this.#untilMs(current) <= nowMs) {
      met.push("expired");
      this.current = undefined;
      this.made.clear();
      this.#early = new Map();
    }
    return met;
  }

  /** Which of its outcomes a registration has. `number`: as the backend has numbered a new generation. */
  register(op: string, spec: Spec, restart: Restart, number: number | undefined): Outcome<"created" | "exists"> {
    const { current } = this;
    const from = typeof restart === "object" ? restart.from : undefined;
    if (current !== undefined) {
      const isSame =
        sameSpec(spec, current.spec) && (restart === undefined || (from !== undefined && from === current.from));
      if (isSame || this.made.has(op)) return { value: "exists" };
      if (restart === undefined || (from !== undefined && from !== current.number)) return { error: "conflict" };
    } else if (from !== undefined) return { error: "conflict" };
    if (number === undefined) throw new Error("a new generation came without its number");
    this.made.set(op, number);
    this.#begin(spec, number, from);
    return { value: "created" };
  }

  #begin(spec: Spec, number: number, from: number | undefined): void {
    const nowMs = this.#nowMs;
    const early = this.current === undefined ? [...this.#early.values()] : [];
    this.#early = new Map();
    const generation: Generation = {
      spec,
      number,
      from,
      counted: new Map(),
      anonymousOps: new Map(),
      errors: [],
      results: [],
      deadlineAtMs: spec.timeoutMs > 0 ? nowMs + spec.timeoutMs : undefined,
      succeeded: 0,
      state: "open",
      reason: null,
      endedBy: undefined,
      endedAtMs: 0,
      writtenAtMs: nowMs,
      renewedAtMs: nowMs,
      delivery: undefined,
    };
    this.current = generation;
    this.highest = number;
    if (this.remaining(generation) === 0) this.#end(generation, "completed", "registered");
    for (const { task, op, untilMs } of early) {
      const isListed = typeof spec.tasks === "number" || spec.tasks.includes(task.id);
      if (untilMs > nowMs && isListed && generation.state === "open") this.#count(generation, task, op);
    }
  }

  ack(op: string, tasks: readonly TaskDone[], generation: number | undefined): AckExpectation[] {
    const { current } = this;
    if (current !== undefined) {
      return tasks.map((task) => {
        const verdict = this.#verdict(current, task, op, generation);
        const ended = verdict === "accepted" && current.endedBy === `task ${task.id}`;
        const remaining = this.remaining(current);
        return { verdict, state: current.state, ended, remaining, generation: current.number };
      });
    }
    const verdict = generation === undefined ? "early" : "unknown";
    if (verdict === "early") for (const task of tasks) this.#keep(op, task);
    return tasks.map(() => ({ verdict, state: "unregistered", ended: false, remaining: null, generation: null }));
  }

  /** What was said first stands while it counts; its time is prolonged. */
  #keep(op: string, task: TaskDone): void {
    const nowMs = this.#nowMs;
    if ([...this.#early.values()].every((early) => early.untilMs <= nowMs)) this.#early = new Map();
    const before = this.#early.get(task.id);
    const untilMs = nowMs + this.earlyTtlMs;
    if (before !== undefined && before.untilMs > nowMs) before.untilMs = untilMs;
    else {
      // One that had ceased to count has lost its place.
      this.#early.delete(task.id);
      this.#early.set(task.id, { task, op, untilMs });
    }
  }

  #verdict(current: Generation, task: TaskDone, op: string, generation: number | undefined): AckExpectation["verdict"] {
    if (generation !== undefined && generation !== current.number) return "unknown";
    if (typeof current.spec.tasks !== "number" && !current.spec.tasks.includes(task.id)) return "unknown";
    const by = current.counted.get(task.id);
    if (by !== undefined) return by === op ? "accepted" : "duplicate";
    if (current.state === "cancelled") return "cancelled";
    if (current.state !== "open") return "late";
    this.#count(current, task, op);
    return "accepted";
  }

  #count(generation: Generation, task: TaskDone, op: string): void {
    generation.counted.set(task.id, op);
    generation.writtenAtMs = this.#nowMs;
    if (task.error === undefined) generation.succeeded++;
    else generation.errors.push({ taskId: task.id, message: task.error });
    if (task.error === undefined && task.result !== undefined) {
      generation.results.push({ taskId: task.id, result: task.result });
    }
    if (this.remaining(generation) === 0) this.#end(generation, "completed", `task ${task.id}`);
  }

  /** A group knows its decrements for its TTL; whether longer is its own affair. */
  mayBeForgotten(op: string): boolean {
    const atMs = this.current?.anonymousOps.get(op);
    return atMs !== undefined && this.current !== undefined && this.#nowMs - atMs >= this.current.spec.ttlMs;
  }

  /** A caller that waits for the end reads the group. */
  look(): void {
    if (this.isSilent && this.current !== undefined) this.current.renewedAtMs = this.#nowMs;
  }

  decrement(op: string, by: number, generation: number | undefined): Outcome<number | null> {
    const { current } = this;
    if (current === undefined || (generation ?? current.number) !== current.number) return { value: null };
    if (typeof current.spec.tasks !== "number") return { error: "conflict" };
    if (current.state === "open" && !current.anonymousOps.has(op)) {
      current.anonymousOps.set(op, this.#nowMs);
      current.writtenAtMs = this.#nowMs;
      current.succeeded += Math.min(by, this.remaining(current));
      if (this.remaining(current) === 0) this.#end(current, "completed", "decrement");
    }
    return { value: this.remaining(current) };
  }

  cancel(reason: string, generation: number | undefined): void {
    const { current } = this;
    if (current?.state !== "open" || (generation ?? current.number) !== current.number) return;
    current.reason = reason;
    this.#end(current, "cancelled", "cancel");
  }

  /** The attempts that the status told of, as it was when the delivery was queued again. */
  redeliver(attempts: number): void {
    const { current } = this;
    if (current === undefined) return;
    current.writtenAtMs = this.#nowMs;
    for (const old of this.deliveries) {
      if (old !== current.delivery && old.isDead) old.queue(this.#nowMs, old.attempts);
    }
    current.delivery?.queue(this.#nowMs, attempts);
  }

  /** The status but for its delivery and its deadline, which the backend's clock decides. */
  status(): object | null {
    return this.current === undefined ? null : this.#statusOf(this.current);
  }

  #statusOf(generation: Generation) {
    const { number, state, spec, succeeded, errors, reason } = generation;
    return {
      generation: number,
      state,
      ok: state === "completed" && errors.length === 0,
      reason,
      total: total(spec),
      succeeded,
      failed: errors.length,
      remaining: this.remaining(generation),
      errors: [...errors],
      metadata: spec.metadata ?? null,
    };
  }

  results(after: number, limit: number): object | null {
    if (this.current === undefined) return null;
    const { results } = this.current;
    const last = Math.min(after + limit, results.length);
    return { items: results.slice(after, last), next: last < results.length ? last : null };
  }

  remaining({ spec, succeeded, errors }: Generation): number {
    return total(spec) - succeeded - errors.length;
  }

  #end(generation: Generation, state: State, endedBy: string, atMs = this.#nowMs): void {
    generation.state = state;
    generation.endedBy = endedBy;
    generation.endedAtMs = atMs;
    generation.writtenAtMs = atMs;
    const { target } = generation.spec;
    if (target === undefined || !(target.end === "onEnd" || target.end === OWN_TARGET[state])) return;
    const snapshot = this.#statusOf(generation);
    generation.delivery = new DeliveryModel(target, this.maxAttempts, atMs, `group.${state}`, snapshot);
    this.deliveries.push(generation.delivery);
  }

  #endsAtMs({ deadlineAtMs, writtenAtMs, renewedAtMs, spec }: Generation): number {
    return deadlineAtMs ?? Math.max(writtenAtMs, renewedAtMs) + spec.ttlMs;
  }

  /** When the record is gone for certain; the spans are such that no step falls between a doubtful end and this one. */
  #untilMs(current: Generation): number {
    if (this.deliveries.some((delivery) => delivery.isOwed)) return Number.POSITIVE_INFINITY;
    const { state, writtenAtMs, spec } = current;
    if (state === "open") return this.#endsAtMs(current) + spec.ttlMs;
    const toldAtMs = Math.max(...this.deliveries.map((delivery) => delivery.queuedAtMs), writtenAtMs);
    return toldAtMs + spec.ttlMs;
  }
}
