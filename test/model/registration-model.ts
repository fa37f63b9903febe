import { type Early, type Generation, hasNoOpenTask, type Restart, type Spec } from "./group-record.js";
import { GroupRules } from "./group-rules.js";
import { type View, viewOf } from "./group-view.js";
import { KNOWN_MS } from "./known-calls.js";

export interface ModelOptions {
  readonly isRequest?: boolean;
  /** How many attempts a delivery has. */
  readonly maxAttempts?: number;
  readonly nowMs?: number;
}

/** The outcome of `register`. */
export type Registered = "created" | "exists" | "conflict" | "restart_lost" | "removed";

/** What time has done to a group. */
export type Passed = "ended by its deadline" | "ended by idleness" | "ended by silence" | "expired";

/** After so many uses of one record within a minute of each removal, its marks go. */
const MAX_USES = 8;
/** How many calls that made a generation are known, and how many that removed one. */
export const KNOWN_REGISTRATIONS = 8;

interface Begun {
  readonly from: number | undefined;
  readonly number: number | undefined;
  readonly before: Generation | undefined;
  /** The marks and the calls of the removed generation before it are known. */
  readonly isBeside?: boolean;
}

/** The generations of one id: registered, restarted, ended by time, expired. */
export class RegistrationModel {
  readonly isRequest: boolean;
  readonly rules: GroupRules;
  /** The latest generation, removed or not. */
  record: Generation | undefined;
  /** The newest generation that was ever seen. */
  highest = -1;
  /** How often its deadline was to be moved. */
  extensions = 0;
  /** How many callers wait for it, so that it does not end by silence. */
  waiting = 0;
  /** Generations are numbered by this clock, not by the backend's. */
  #isNumbering = true;
  /** Acks of the id while it is not registered. */
  protected early = new Map<string, Early>();

  constructor({ isRequest = false, maxAttempts = 0, nowMs = 0 }: ModelOptions = {}) {
    this.isRequest = isRequest;
    this.rules = new GroupRules({ isRequest, maxAttempts, nowMs });
  }

  get nowMs(): number {
    return this.rules.nowMs;
  }

  /** The group that calls find; a removed one is hidden. */
  get current(): Generation | undefined {
    return this.record?.removedAtMs === undefined ? this.record : undefined;
  }

  /** How the latest generation stands, removed or not: what its waiters read. */
  lastView(): View | undefined {
    return this.record === undefined ? undefined : viewOf(this.record);
  }

  /** A delivery is under way. */
  get isOwing(): boolean {
    return this.rules.deliveries.some((delivery) => !delivery.isOver && !delivery.isNobodys);
  }

  /** Its end by a clock will bring a delivery. */
  get isTimed(): boolean {
    const { current } = this;
    return current?.state === "open" && hasTimeoutTarget(current) && current.spec.target?.handler !== "nobody";
  }

  /** It ends by silence, which waiting callers put off. */
  get isSilent(): boolean {
    return this.current?.state === "open" && clockOf(this.current).name === "silence";
  }

  /** Time goes on: the end by a clock, then the end of what was kept. */
  tick(nowMs: number): Passed[] {
    this.rules.nowMs = nowMs;
    const passed: Passed[] = [];
    for (const delivery of this.rules.deliveries) delivery.tick(nowMs);
    const { record } = this;
    if (record === undefined) return passed;
    if (this.waiting > 0 && record.state === "open" && clockOf(record).name === "silence") record.followedAtMs = nowMs;
    const clock = clockOf(record);
    // No call has read it in the time after its silent end: it expires without one.
    const isUnread = !hasTimer(record, clock) && this.#untilMs(record) <= nowMs;
    if (record.state === "open" && clock.atMs <= nowMs && !isUnread) {
      this.#endByClock(record, clock);
      passed.push(`ended by ${clock.name === "deadline" ? "its deadline" : clock.name}`);
      record.delivery?.tick(nowMs);
    }
    if (this.#untilMs(record) <= nowMs) {
      passed.push("expired");
      this.record = undefined;
      this.early = new Map();
    }
    return passed;
  }

  #endByClock(record: Generation, { name, atMs }: Clock): void {
    // Where no timer rings for silence, the next reader applies it: every group is read when the clock has moved.
    const endedAtMs = hasTimer(record, { name, atMs }) ? atMs : this.nowMs;
    record.changes++;
    if (this.isRequest && hasNoOpenTask(record)) {
      record.completionReason = "all_completed";
      this.rules.end(record, "completed", { atMs: endedAtMs });
    } else {
      record.reason = { deadline: "deadline", idleness: "idle", silence: "silent" }[name];
      this.rules.end(record, "timed_out", { atMs: endedAtMs });
    }
    this.rules.finish();
  }

  /** When the record is gone for certain: the spans are such that no step falls between a doubtful end and this one. */
  #untilMs(record: Generation): number {
    if (this.rules.deliveries.some((delivery) => delivery.isOwed)) return Number.POSITIVE_INFINITY;
    const { state, number, removedAtMs, queuedAtMs, spec } = record;
    const settledAtMs = Math.max(...this.rules.deliveries.map((delivery) => delivery.queuedAtMs), queuedAtMs);
    if (removedAtMs !== undefined) return Math.max(removedAtMs, this.#isNumbering ? number : 0, settledAtMs) + KNOWN_MS;
    return (state === "open" ? clockOf(record).atMs : settledAtMs) + spec.ttlMs;
  }

  /** `number`: as the backend has numbered a new generation. Default: as the clock says. */
  register(op: string, spec: Spec, restart: Restart | undefined, number?: number): Registered {
    const { record, current } = this;
    const from = restart?.from;
    if (current === undefined) {
      if (record?.ops.includes(op) === true) return "removed";
      if (from !== undefined) return "restart_lost";
      const isBeside = record !== undefined && record.epoch + 1 < MAX_USES;
      if (isBeside) this.rules.known.beginBeside();
      else this.rules.known.forget();
      return this.#begin(op, spec, { from, number, before: record, isBeside });
    }
    const isAbandoned = this.isRequest && current.callers.size === 0;
    if (isAbandoned && restart === undefined && !current.ops.includes(op)) {
      this.rules.known.forget();
      return this.#begin(op, spec, { from, number, before: current });
    }
    if (current.ops.includes(op)) return "exists";
    const isSameRestart = restart === undefined || (from !== undefined && from === current.from);
    if (current.spec.fingerprint === spec.fingerprint && isSameRestart) {
      this.#join(current, op);
      return "exists";
    }
    if (restart === undefined) return "conflict";
    if (from !== undefined && from !== current.number) return "restart_lost";
    if (restart.keep !== undefined && typeof spec.tasks !== typeof current.spec.tasks) return "conflict";
    if (restart.keep !== undefined) return this.#continueInPlace(op, spec, { from, number, before: current });
    this.rules.known.forget();
    return this.#begin(op, spec, { from, number, before: current });
  }

  #join({ callers, state, ...generation }: Generation, op: string): void {
    if (this.isRequest && state === "open" && !generation.isSealed && !generation.answers.has(op)) {
      if (!callers.has(op)) generation.answers.set(op, { answer: "", atMs: this.nowMs });
      callers.add(op);
    }
  }

  #begin(op: string, spec: Spec, how: Begun): "created" {
    const early = how.before === undefined ? [...this.early.values()].filter((one) => one.untilMs > this.nowMs) : [];
    const generation = this.#new(op, spec, how);
    this.record = generation;
    this.early = new Map();
    if (typeof spec.tasks !== "number") this.rules.announce(generation, spec.tasks);
    for (const one of early) this.rules.takeIn(generation, one);
    this.rules.decide(generation, true, undefined);
    this.rules.finish();
    return "created";
  }

  /** Keeps what has succeeded, and the early successes; failed tasks are open again. */
  #continueInPlace(op: string, spec: Spec, how: Begun & { readonly before: Generation }): "created" {
    const { before } = how;
    const next = this.#new(op, spec, how);
    const generation: Generation = {
      ...next,
      epoch: before.epoch + 1,
      chain: [...before.chain, before.number],
      entries: before.entries,
      answers: before.answers,
      results: before.results,
      stages: before.stages,
      hasStages: before.hasStages,
      anonymous: before.anonymous,
    };
    for (const counts of generation.stages.values()) counts.failed = 0;
    for (const [key, entry] of generation.entries) {
      // Any id counts where tasks are only counted: a failed one is unknown again.
      if (entry.state === "failed" && typeof spec.tasks === "number") generation.entries.delete(key);
      else if (entry.state === "failed") entry.state = "open";
    }
    for (const [key, early] of before.early) {
      if (early.task.error === undefined) generation.early.set(key, early);
      else this.rules.known.add(early.op, key);
    }
    this.record = generation;
    if (typeof spec.tasks !== "number") this.rules.announce(generation, spec.tasks);
    this.rules.decide(generation, true, undefined);
    this.rules.finish();
    return "created";
  }

  #new(op: string, spec: Spec, { from, number, before, isBeside = false }: Begun): Generation {
    const { nowMs } = this;
    this.#isNumbering = number === undefined;
    this.highest = number ?? (before === undefined ? nowMs : Math.max(before.number + 1, nowMs));
    return {
      ...{ spec, from, number: this.highest, chain: [], entries: new Map(), early: new Map() },
      answers: isBeside && before !== undefined ? before.answers : recentAnswers(before, nowMs),
      epoch: isBeside && before !== undefined ? before.epoch + 1 : 0,
      ...{
        failures: [],
        results: [],
        stages: new Map(),
        callers: new Set([op]),
        anonymous: 0,
        isSealed: false,
        hasStages: false,
      },
      ops: [...(before?.ops ?? []), op].slice(-KNOWN_REGISTRATIONS),
      removals: before?.removals ?? [],
      ...{ state: "open", reason: undefined, completionReason: undefined, endedBy: undefined, endedAtMs: 0 },
      deadlineAtMs: spec.timeoutMs > 0 ? nowMs + spec.timeoutMs : undefined,
      ...{ touchedAtMs: nowMs, followedAtMs: nowMs, queuedAtMs: nowMs, delivery: undefined, changes: 0 },
      ...{ removedAtMs: undefined },
    };
  }
}

/** A group of listed tasks passes on the calls of its last minute: a late copy of one changes nothing in the next generation. */
function recentAnswers(before: Generation | undefined, nowMs: number): Generation["answers"] {
  if (before === undefined || typeof before.spec.tasks === "number") return new Map();
  return new Map([...before.answers].filter(([, { atMs }]) => atMs + KNOWN_MS > nowMs));
}

interface Clock {
  readonly name: "deadline" | "idleness" | "silence";
  readonly atMs: number;
}

/** The clock that ends an open group next. */
export function clockOf({ spec, deadlineAtMs, touchedAtMs, followedAtMs }: Generation): Clock {
  const idleAtMs = spec.idleMs === undefined ? undefined : touchedAtMs + spec.idleMs;
  if (deadlineAtMs !== undefined && deadlineAtMs <= (idleAtMs ?? deadlineAtMs)) {
    return { name: "deadline", atMs: deadlineAtMs };
  }
  if (idleAtMs !== undefined) return { name: "idleness", atMs: idleAtMs };
  return { name: "silence", atMs: Math.max(touchedAtMs, followedAtMs) + spec.ttlMs };
}

export const hasTimeoutTarget = ({ spec: { target } }: Generation): boolean =>
  target !== undefined && ["onTimeout", "onFailure", "onEnd"].includes(target.end);

const hasTimer = (record: Generation, { name }: Clock): boolean => name !== "silence" || hasTimeoutTarget(record);
