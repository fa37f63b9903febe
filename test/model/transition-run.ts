import { equal } from "../../src/testing/assert.js";
import { GroupModel } from "./group-model.js";
import { keyOf, type Spec, type Task, type TaskDone } from "./group-record.js";
import { isAnswerToCopy, KNOWN_MS } from "./known-calls.js";
import { PlainRecord } from "./plain-record.js";
import { type Call, CallSource, EARLY_TTL_MS } from "./transition-calls.js";

const START_MS = 1_767_225_600_000;
/** A late copy is a copy of one of so many calls before it. */
const COPIED = 12;

/** What one sequence was. */
export interface Sequence {
  readonly calls: number;
  readonly copies: number;
}

/** Runs one random sequence of calls and of late copies against the transitions and against the model. */
export function runSequence(seed: number): Sequence {
  const run = new TransitionRun(seed);
  try {
    return run.all();
  } catch (error) {
    throw new Error(`seed ${seed}, after ${run.log.slice(-8).join("\n")}`, { cause: error });
  }
}

class TransitionRun {
  readonly log: string[] = [];
  readonly #source: CallSource;
  #extends = 0;
  readonly #record = new PlainRecord(START_MS);
  readonly #model = new GroupModel({ nowMs: START_MS });
  readonly #past: { readonly call: Call; readonly atMs: number }[] = [];
  readonly #generations: number[] = [];

  constructor(seed: number) {
    this.#source = new CallSource(seed);
  }

  all(): Sequence {
    const calls = 10 + this.#source.below(40);
    let copies = 0;
    for (let i = 0; i < calls; i++) {
      this.#pass(this.#source.pauseMs());
      const copied = this.#late();
      const call = copied ?? this.#source.next(this.#generations);
      if (copied === undefined) this.#past.push({ call, atMs: this.#record.nowMs });
      else copies++;
      this.log.push(`${copied === undefined ? "" : "copy of "}${JSON.stringify(call)}`);
      this.#take(call, copied !== undefined);
      this.#look();
    }
    return { calls, copies };
  }

  #pass(ms: number): void {
    if (ms === 0) return;
    this.#record.nowMs += ms;
    this.#model.tick(this.#record.nowMs);
    this.log.push(`${ms} ms later`);
    this.#look();
  }

  /** A call of the last minute: a later copy may be a new call. */
  #late(): Call | undefined {
    if (!this.#source.chance(0.25)) return undefined;
    const known = this.#past.filter(({ atMs }) => this.#record.nowMs - atMs < KNOWN_MS).slice(-COPIED);
    return known.length === 0 ? undefined : this.#source.pick(known).call;
  }

  #take(call: Call, isCopy: boolean): void {
    const [record, model] = [this.#record, this.#model];
    const { op } = call;
    const named = "generation" in call && call.generation !== undefined ? { generation: call.generation } : {};
    if (call.step === "register") {
      const { outcome } = record.run("register", { op, ...registration(call.spec), ...restartOf(call) });
      equal(outcome, model.register(op, call.spec, call.restart), "register");
    } else if (call.step === "ack") this.#ack(call, isCopy);
    else if (call.step === "add") {
      const { outcome, letters, refused } = record.run("add", { op, ...listsOf(call.tasks), ...named });
      const expected = model.add(op, call.tasks, named);
      equal({ outcome: refused === undefined ? outcome : "refused", letters }, expected, "add");
    } else if (call.step === "retry") {
      const { outcome, letters } = record.run("retry", { op, tasks: [...call.tasks], ...named });
      equal({ outcome, letters }, model.retry(op, call.tasks, named), "retry");
    } else if (call.step === "seal") {
      equal({ outcome: record.run("seal", { op, ...named }).outcome }, model.seal(op, named), "seal");
    } else if (call.step === "decrement") {
      const { remaining, refused } = record.run("decrement", { op, by: call.by, ...named });
      equal(refused === undefined ? remaining : "refused", model.decrement(op, call.by, named), "decrement");
    } else if (call.step === "count") {
      const { step: _, ...counts } = call;
      equal(record.run("count", { ...counts }).verdict, model.count(op, call), "count");
    } else if (call.step === "heartbeat") {
      equal(record.run("heartbeat", named).alive, model.heartbeat(named), "heartbeat");
    } else if (call.step === "extend") {
      // Each copy is a call of its own here: what a resent one does is in the tests of the core.
      this.#extends++;
      record.run("extend", { op: `extend-${this.#extends}`, timeoutMs: call.timeoutMs, ...named });
      model.extend(call.timeoutMs, named);
    } else if (call.step === "cancel") {
      record.run("cancel", { reason: "enough", ...named });
      model.cancel("enough", named);
    } else equal(record.run("remove", { op }).found, model.remove(op), "remove");
  }

  #ack(call: Extract<Call, { step: "ack" }>, isCopy: boolean): void {
    const { op, tasks, next, generation } = call;
    const before = this.#model.current?.entries;
    const settled = new Set([...(before ?? [])].filter(([, { state }]) => state !== "open").map(([key]) => key));
    const { results, refused } = this.#record.run("ack", {
      ...{ op, tasks: tasks.map(stored), earlyTtlMs: EARLY_TTL_MS },
      ...(next === undefined ? {} : { next: listsOf(next) }),
      ...(generation === undefined ? {} : { generation }),
    });
    const expected = this.#model.ack(op, { tasks, next, generation, earlyTtlMs: EARLY_TTL_MS });
    equal(refused, expected === "refused" ? "closed" : undefined, "ack");
    if (expected === "refused") return;
    for (const [i, { verdict, state, remaining, ended }] of results.entries()) {
      const want = expected[i];
      const isSettled = settled.has(keyOf(tasks[i] as Task));
      if (isCopy && want !== undefined && isAnswerToCopy(verdict, want.verdict, isSettled)) continue;
      const { complete: _, generation: __, ...line } = want ?? { complete: false, generation: 0 };
      equal({ verdict, state, remaining, ended }, line, `ack ${i}`);
    }
  }

  /** Everything that a reader sees. */
  #look(): void {
    const { view } = this.#record.run("status", {});
    const expected = this.#model.view();
    equal(view === undefined, expected === undefined, "whether it is found");
    if (view === undefined || expected === undefined) return;
    const { changes: _, registeredAtMs: __, lastAckAtMs: ___, delivery, hasPolicy: ____, ...seen } = view;
    const { deadlineAtMs, endedAtMs, ...rest } = seen;
    equal({ stages: [], metadata: null, ...rest }, expected, "the status");
    equal(deadlineAtMs, this.#model.current?.deadlineAtMs, "the deadline");
    equal(endedAtMs !== undefined, expected.state !== "open", "whether it has ended");
    equal(delivery.state, "none", "the delivery");
    if (!this.#generations.includes(expected.generation)) this.#generations.push(expected.generation);
    this.#lookAtTasks();
  }

  #lookAtTasks(): void {
    const { current } = this.#model;
    if (current === undefined) return;
    const results = this.#record.run("results", { after: 0, limit: 1_000 });
    const lines = results.items.map(({ stage, id, result }) => ({ task: { stage, id }, result: JSON.parse(result) }));
    equal(lines, this.#model.results("acks"), "the results");
    if (typeof current.spec.tasks === "number") return;
    const { items } = this.#record.run("tasks", { after: 0, limit: 1_000 });
    const tasks = items.map(({ stage, id, state, error }) => ({ task: { stage, id }, state, error }));
    const expected = [...current.entries.values()].map(({ task, state, error }) => {
      return { task, state, error: state === "failed" ? error?.message : undefined };
    });
    equal(tasks, expected, "the tasks");
  }
}

const stored = ({ result, ...task }: TaskDone) =>
  result === undefined ? task : { ...task, result: JSON.stringify(result) };

function listsOf(tasks: readonly Task[]): { lists: string[] } {
  const byStage = new Map<string, string[]>();
  for (const { stage = "", id } of tasks) byStage.set(stage, [...(byStage.get(stage) ?? []), id]);
  return { lists: [...byStage].map(([stage, ids]) => JSON.stringify([stage, ...ids])) };
}

function registration({ fingerprint, tasks, grows, policy, timeoutMs, idleMs, ttlMs }: Spec) {
  return {
    ...{ fingerprint, timeoutMs, ttlMs, deliveryId: "msg" },
    ...(typeof tasks === "number"
      ? { kind: "counted" as const, total: tasks, lists: [] }
      : { kind: "named" as const, total: 0, ...listsOf(tasks) }),
    ...(grows === true ? { grows } : {}),
    ...(policy === undefined ? {} : { policy: { ...policy } }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

const restartOf = ({ restart }: Extract<Call, { step: "register" }>) =>
  restart === undefined ? {} : { restart: { ...restart } };
