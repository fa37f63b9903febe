import {
  type AckCall,
  type Acked,
  type Changed,
  type CountCall,
  type Early,
  type Generation,
  hasNoOpenTask,
  isSealed,
  keyOf,
  leftOf,
  type State,
  type Task,
  type TaskDone,
  type Verdict,
} from "./group-record.js";
import { type View, viewOf } from "./group-view.js";
import { KNOWN_MS } from "./known-calls.js";
import { clockOf, KNOWN_REGISTRATIONS, RegistrationModel } from "./registration-model.js";

interface Named {
  readonly generation?: number | undefined;
}

/**
 * One id of groups or of requests, as the documents promise it to behave: naive, with sets and lists. Does not model limits,
 * sizes and the text of the record.
 */
export class GroupModel extends RegistrationModel {
  /** `refused`: the group is closed, and the call brings next tasks. */
  ack(op: string, call: AckCall): Acked[] | "refused" {
    const { current } = this;
    if (current === undefined) return this.#ackUnregistered(op, call);
    if (call.next !== undefined && current.spec.grows !== true) return "refused";
    const seen = new Map<string, Verdict>();
    const kept: Early[] = [];
    let lastCounted: string | undefined;
    let hasEarly = false;
    const verdicts = call.tasks.map((task) => {
      const key = keyOf(task);
      const before = seen.get(key);
      if (before !== undefined) return before === "accepted" ? "duplicate" : before;
      const told = this.#verdict(current, task, op, call.generation);
      if (told === "counts") {
        this.rules.settle(current, task, op);
        lastCounted = key;
      } else if (told === "waits") {
        hasEarly = true;
        if (!current.early.has(key)) {
          const early = { task, op, next: call.next, untilMs: Number.POSITIVE_INFINITY };
          current.early.set(key, early);
          kept.push(early);
        }
      }
      const verdict = told === "counts" ? "accepted" : told === "waits" ? "early" : told;
      seen.set(key, verdict);
      return verdict;
    });
    if (lastCounted !== undefined) {
      // A task that counted announces the next tasks now: the early acks of the call announce nothing more.
      for (const early of kept) early.next = undefined;
      if (call.next !== undefined && current.state === "open") {
        this.rules.announce(current, call.next);
        // An early ack among the next tasks may have ended the group: by this call.
        if ((current.state as State) !== "open") current.endedBy = lastCounted;
      }
      this.rules.decide(current, true, lastCounted);
    }
    if (lastCounted !== undefined || hasEarly) this.#touched(current);
    const state = { state: current.state, remaining: leftOf(current), generation: current.number };
    return verdicts.map((verdict, i) => {
      const ended = verdict === "accepted" && current.endedBy === keyOf(call.tasks[i] as Task);
      return { verdict, ended, ...state, complete: hasNoOpenTask(current) };
    });
  }

  #verdict(
    current: Generation,
    task: TaskDone,
    op: string,
    generation: number | undefined,
  ): Exclude<Verdict, "early"> | "early" | "counts" | "waits" {
    const key = keyOf(task);
    if (generation !== undefined && generation !== current.number) {
      // A success of an earlier generation counts in one that keeps successes. No caller knows a number between two of them.
      const isOfChain = generation < current.number && generation >= (current.chain[0] ?? current.number);
      if (!isOfChain || task.error !== undefined) return "unknown";
    }
    if (this.rules.known.has(op, key)) return "accepted";
    const entry = current.entries.get(key);
    if (entry?.state === "succeeded" || entry?.state === "failed") return "duplicate";
    if (current.early.get(key)?.op === op) return "early";
    const isCounted = typeof current.spec.tasks === "number";
    if (entry === undefined && !isCounted && current.spec.grows !== true) return "unknown";
    if (current.state === "cancelled") return "cancelled";
    if (current.state !== "open" || (isCounted && leftOf(current) <= 0)) return "late";
    return entry === undefined && !isCounted ? "waits" : "counts";
  }

  #ackUnregistered(op: string, { tasks, next, generation, earlyTtlMs }: AckCall): Acked[] {
    const isKept = generation === undefined && earlyTtlMs > 0 && this.record === undefined;
    if (isKept && [...this.early.values()].every(({ untilMs }) => untilMs <= this.nowMs)) this.early = new Map();
    for (const task of isKept ? tasks : []) {
      const key = keyOf(task);
      const before = this.early.get(key);
      const untilMs = this.nowMs + earlyTtlMs;
      if (before !== undefined && before.untilMs > this.nowMs) before.untilMs = Math.max(before.untilMs, untilMs);
      else {
        // One that has expired has lost its place in the order.
        this.early.delete(key);
        this.early.set(key, { task, op, next, untilMs });
      }
    }
    const verdict = isKept ? "early" : "unknown";
    const rest = { ended: false, remaining: undefined, generation: undefined, complete: false };
    return tasks.map(() => ({ verdict, state: "unregistered", ...rest }));
  }

  add(op: string, tasks: readonly Task[], named: Named = {}): Changed {
    const current = this.#find(named);
    if (current === undefined) return { outcome: "unknown" };
    const before = current.answers.get(op);
    if (before !== undefined) return { outcome: "added", letters: before.answer };
    if (current.spec.grows !== true) return { outcome: "refused" };
    if (current.state !== "open") return { outcome: "late" };
    if (current.isSealed) return { outcome: "sealed" };
    const letters = this.rules.announce(current, tasks);
    this.#answer(current, op, letters);
    this.rules.decide(current, true, undefined);
    this.#touched(current);
    return { outcome: "added", letters };
  }

  seal(op: string, named: Named = {}): Changed {
    const current = this.#find(named);
    if (current === undefined) return { outcome: "unknown" };
    if (current.answers.has(op)) return { outcome: "sealed" };
    if (isSealed(current)) return { outcome: "already" };
    if (current.state !== "open") return { outcome: "late" };
    current.isSealed = true;
    this.#answer(current, op, "");
    this.rules.decide(current, true, undefined);
    this.#touched(current);
    return { outcome: "sealed" };
  }

  retry(op: string, tasks: readonly Task[], named: Named = {}): Changed {
    const current = this.#find(named);
    if (current === undefined) return { outcome: "unknown" };
    const before = current.answers.get(op);
    if (before !== undefined) return { outcome: "retried", letters: before.answer };
    if (current.state !== "open") return { outcome: "late" };
    const letters = tasks.map((task) => this.#reopen(current, task)).join("");
    if (letters.includes("r")) {
      this.#answer(current, op, letters);
      this.#touched(current);
    }
    return { outcome: "retried", letters };
  }

  #reopen(current: Generation, task: Task): "r" | "s" | "u" {
    const key = keyOf(task);
    const entry = current.entries.get(key);
    const isCounted = typeof current.spec.tasks === "number";
    if (entry === undefined) return isCounted ? "s" : "u";
    if (entry.state !== "failed") return "s";
    if (isCounted) current.entries.delete(key);
    else entry.state = "open";
    if (entry.error !== undefined) entry.error.isGone = true;
    if (task.stage !== undefined) this.rules.countsOf(current, task.stage).failed--;
    return "r";
  }

  /** Returns how many tasks are left; `undefined` for an unknown group. */
  decrement(op: string, by: number, named: Named = {}): number | undefined | "refused" {
    const current = this.#find(named);
    if (current === undefined) return undefined;
    if (typeof current.spec.tasks !== "number") return "refused";
    if (current.state === "open" && !current.answers.has(op)) {
      current.anonymous += Math.min(by, leftOf(current));
      this.#answer(current, op, "");
      this.rules.decide(current, true, undefined);
      this.#touched(current);
    }
    return leftOf(current);
  }

  count(op: string, { stage, processed = 0, requeued = 0, error, ...named }: CountCall): Verdict {
    const current = this.#find(named);
    if (current === undefined) return "unknown";
    if (current.answers.has(op)) return "accepted";
    if (current.state !== "open") return current.state === "cancelled" ? "cancelled" : "late";
    const counts = this.rules.countsOf(current, stage);
    current.hasStages = true;
    counts.processed += processed;
    counts.requeued += requeued;
    if (error !== undefined) {
      counts.errors++;
      current.failures.push({ task: undefined, stage, message: error, isGone: false });
    }
    this.#answer(current, op, "");
    this.#touched(current);
    return "accepted";
  }

  cancel(reason: string, named: Named = {}): void {
    const current = this.#find(named);
    if (current?.state !== "open") return;
    current.reason = reason;
    this.rules.end(current, "cancelled");
    this.#changed(current);
  }

  abandon(op: string, caller: string, reason: string): "cancelled" | "joined" | "late" | "unknown" {
    const { current } = this;
    if (current === undefined) return "unknown";
    const before = current.answers.get(op);
    if (before !== undefined) return before.answer as "cancelled" | "joined";
    if (current.state !== "open" || isSealed(current)) return "late";
    if (!current.callers.delete(caller)) return "joined";
    const outcome = current.callers.size > 0 ? "joined" : "cancelled";
    this.#answer(current, op, outcome);
    if (outcome === "cancelled") this.cancel(reason);
    else current.changes++;
    return outcome;
  }

  /** Returns whether the call has removed a group, now or by its first copy. */
  remove(op: string): boolean {
    const { record } = this;
    if (record === undefined) return false;
    if (record.removals.includes(op)) return true;
    if (record.removedAtMs !== undefined) return false;
    record.removals = [...record.removals, op].slice(-KNOWN_REGISTRATIONS);
    if (this.isRequest && record.state === "open" && hasNoOpenTask(record)) {
      record.completionReason = "all_completed";
      this.rules.end(record, "completed");
      this.#changed(record);
    } else this.cancel("removed");
    record.removedAtMs = this.nowMs;
    for (const [key, early] of record.early) this.rules.known.add(early.op, key);
    return true;
  }

  extend(timeoutMs: number, named: Named = {}): void {
    const current = this.#find(named);
    if (current?.state !== "open" || current.deadlineAtMs === undefined) return;
    this.extensions++;
    const before = current.deadlineAtMs;
    current.deadlineAtMs = Math.max(before, this.nowMs + timeoutMs);
    if (current.deadlineAtMs !== before) current.changes++;
  }

  /** Returns whether work for the group is worth doing. */
  heartbeat(named: Named = {}): boolean {
    const { current } = this;
    if (current === undefined) return true;
    if (this.#find(named) === undefined) return false;
    const { state, spec, touchedAtMs } = current;
    if (state === "open" && this.nowMs - touchedAtMs >= (spec.idleMs ?? spec.ttlMs) / 8) {
      current.touchedAtMs = this.nowMs;
    }
    return state === "open";
  }

  /** `attempts`: as the status told them when the delivery was queued again. */
  redeliver(attempts: number): void {
    const { current } = this;
    if (current === undefined || this.rules.deliveries.length === 0) return;
    this.#changed(current);
    current.queuedAtMs = this.nowMs;
    for (const old of this.rules.deliveries) {
      if (old !== current.delivery && old.isDead) old.queue(this.nowMs, old.attempts);
    }
    current.delivery?.queue(this.nowMs, attempts);
  }

  /** A caller that waits for the end reads the group. */
  look(): void {
    const { current } = this;
    if (current?.state === "open" && clockOf(current).name === "silence") current.followedAtMs = this.nowMs;
  }

  view(): View | undefined {
    return this.current === undefined ? undefined : viewOf(this.current);
  }

  /** Returns a page of the results, in the order of the acks or of the announcement. */
  results(order: "acks" | "registration"): { readonly task: Task; readonly result: unknown }[] {
    const { current } = this;
    if (current === undefined) return [];
    if (order === "acks") return current.results;
    const byKey = new Map(current.results.map((line) => [keyOf(line.task), line]));
    return [...current.entries.keys()].flatMap((key) => byKey.get(key) ?? []);
  }

  /** A copy of the call may be a new call: its answer was kept for a minute. */
  mayBeForgotten(op: string): boolean {
    const before = this.current?.answers.get(op);
    return before !== undefined && this.nowMs - before.atMs >= KNOWN_MS;
  }

  /** A late copy of the call, however late, is known by the marks of its tasks, or is surely a new call. */
  remembers(op: string, tasks: readonly Task[]): boolean {
    const { current } = this;
    const isKnown = ([key, by]: readonly [string, string | undefined]): boolean =>
      !this.rules.known.has(op, key) || by === op;
    const marks = tasks.map((task) => [keyOf(task), current?.entries.get(keyOf(task))?.op] as const);
    return !this.mayBeForgotten(op) && (this.record?.epoch ?? 0) === 0 && marks.every(isKnown);
  }

  #find({ generation }: Named): Generation | undefined {
    return generation === undefined || generation === this.current?.number ? this.current : undefined;
  }

  #answer(current: Generation, op: string, answer: string): void {
    current.answers.set(op, { answer, atMs: this.nowMs });
  }

  #touched(current: Generation): void {
    current.touchedAtMs = this.nowMs;
    this.#changed(current);
  }

  #changed(current: Generation): void {
    current.changes++;
    this.rules.finish();
  }
}
