import type { GroupStatus } from "../../src/delivery/group-status.js";
import { equal, isTrue, present } from "../../src/testing/assert.js";
import type { CompletionTracker } from "../../src/trackers/completion.js";
import { EARLY_TTL_MS, GroupCalls, type Sent } from "./group-calls.js";
import { GroupModel } from "./group-model.js";
import type { Task } from "./group-record.js";
import { groupStatusOf, statusOf } from "./group-status.js";
import type { GroupCall, GroupStep } from "./group-steps.js";
import { soon, type World } from "./world.js";

const DAY_MS = 86_400_000;
const GROUPS = 2;

/** Takes steps against a backend, and holds what it answers against the model. */
export class GroupRun {
  readonly #world: World;
  readonly #trackers: readonly CompletionTracker[];
  readonly #models: readonly GroupModel[];
  readonly #calls: (Sent & { readonly op: string; readonly atMs: number })[] = [];
  readonly #sender: GroupCalls;
  readonly #waits: {
    readonly group: number;
    readonly end: Promise<GroupStatus | null>;
    readonly controller: AbortController;
    isOver: boolean;
  }[] = [];
  readonly #deadlines = new Map<string, number | null>();

  constructor(world: World) {
    this.#world = world;
    this.#trackers = world.completionTrackers({ ttlSec: 3_600, earlyTtlSec: EARLY_TTL_MS / 1_000 });
    const { maxAttempts } = world;
    this.#models = Array.from({ length: GROUPS }, () => new GroupModel({ maxAttempts }));
    this.#sender = new GroupCalls({
      world,
      of: (step) => this.#of(step),
      check: (group, status) => this.#checkStatus(group, status),
    });
  }

  async take(step: GroupStep): Promise<void> {
    if (step.step === "advance") await this.#advance(step.halves, step.justBefore);
    else await this.#take(step);
    if (this.#world.isExact) await this.#look(step.group);
    await this.#checkWaits();
  }

  async #take(step: Exclude<GroupStep, { step: "advance" }>): Promise<void> {
    const { group } = step;
    if (step.step === "look") await this.#look(group);
    else if (step.step === "wait") await this.#wait(step);
    else if (step.step === "redeliver") await this.#redeliver(step);
    else if (step.step === "results") await this.#results(step);
    else if (step.step === "tasks") await this.#tasks(step);
    else if (step.step === "copy") await this.#copy(step.of);
    else await this.#first(step);
  }

  /** A call that may come again: everything about it is settled before it is sent. */
  async #first(step: GroupCall): Promise<void> {
    const { send, isCertain } = this.#sender.prepare(step);
    this.#calls.push({ op: await send(undefined), atMs: this.#world.nowMs, send, isCertain });
  }

  async #copy(of: number): Promise<void> {
    const call = this.#calls[of % Math.max(1, this.#calls.length)];
    if (call === undefined) return;
    // A copy that comes later may be a new call: its first copy is forgotten.
    if (call.atMs !== this.#world.nowMs && !call.isCertain(call.op)) return;
    this.#world.tally.met("a late copy");
    await call.send(call.op);
  }

  async #redeliver(step: GroupStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    if (model.rules.deliveries.some((delivery) => delivery.isDying)) return;
    await this.#world.rest();
    const before = model.current?.delivery?.attempts ?? 0;
    const status = await tracker.redeliver(id);
    let base = status?.delivery.attempts ?? 0;
    if (base > before) {
      // A copy of the call met the attempt that the first one made. It left it alone if it was under way; else it queued another.
      await this.#world.rest();
      base = Math.min(base, ((await tracker.status(id))?.delivery.attempts ?? 1) - 1);
    }
    model.redeliver(base);
    this.#checkStatus(step.group, status);
    if (model.current?.delivery !== undefined) {
      this.#world.tally.met("redelivered");
      equal(status?.delivery.state, "pending", "a delivery that was queued again");
    }
  }

  async #results(step: Extract<GroupStep, { step: "results" }>): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const { after, limit, order } = step;
    const outcome = await this.#world.call(() => tracker.results(id, { after, limit, order }));
    const { current } = model;
    if (current === undefined) return equal(outcome.outcome, { value: null }, "results of an unknown group");
    if (order === "registration") {
      if (typeof current.spec.tasks === "number") return equal(outcome.outcome, { error: "unsupported" }, "results");
      const results = tracker.allResults(id, { order, limit });
      return equal(await collected(results), model.results(order).map(lineOf), "results in order");
    }
    const all = model.results(order).map(lineOf);
    const last = Math.min(after + limit, all.length);
    const page = { items: all.slice(after, last), next: last < all.length ? last : null };
    equal(outcome.outcome, { value: page }, "results");
  }

  async #tasks(step: GroupStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const { outcome } = await this.#world.call(() => tracker.tasks(id));
    const { current } = model;
    if (current === undefined) return equal(outcome, { value: null }, "tasks of an unknown group");
    if (typeof current.spec.tasks === "number") return equal(outcome, { error: "unsupported" }, "tasks");
    const items = [...current.entries.values()].map(({ task, state, error }) => {
      const message = state === "failed" ? (error?.message ?? null) : null;
      return { taskId: task.id, stage: task.stage ?? null, state, error: message };
    });
    equal(outcome, { value: { items, next: null } }, "tasks");
    this.#world.tally.met("tasks");
  }

  async #look(group: number): Promise<void> {
    this.#checkStatus(group, await this.#of({ group, client: 0 }).tracker.status(this.#id(group)));
  }

  /** One look, or one that stays until the group has ended. */
  async #wait(step: GroupStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const isEnded = model.record !== undefined && model.record.state !== "open";
    if (isEnded) {
      return this.#checkStatus(step.group, await soon(tracker.wait(id, { timeoutMs: DAY_MS }), "the wait"), false);
    }
    model.look();
    const once = this.#world.call(() => tracker.wait(id, { timeoutMs: 0 }));
    if (this.#world.isExact) await this.#world.rest();
    const { outcome } = await once;
    if ("error" in outcome) return equal(outcome, "a value", "a look at a group that is not over");
    this.#checkStatus(step.group, outcome.value);
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#world.leaving, controller.signal]);
    const end = tracker.wait(id, { timeoutMs: DAY_MS, signal });
    const wait = { group: step.group, end, controller, isOver: false };
    const over = (): void => {
      wait.isOver = true;
    };
    end.then(over, over);
    model.waiting++;
    this.#waits.push(wait);
  }

  /** Where the clock jumps, no caller can extend a group's idle timeout meanwhile. */
  async #leaveSilent(): Promise<void> {
    for (const wait of this.#waits.splice(0)) {
      const model = present(this.#models[wait.group], "the model");
      if (!model.isSilent) {
        this.#waits.push(wait);
        continue;
      }
      wait.controller.abort(new Error("gives up"));
      await Promise.allSettled([wait.end]);
      model.waiting--;
    }
  }

  /** A waiter gets the end, and nothing else. */
  async #checkWaits(): Promise<void> {
    for (const wait of this.#waits.splice(0)) {
      const model = present(this.#models[wait.group], "the model");
      const { record } = model;
      if (record !== undefined && record.state !== "open") {
        this.#checkStatus(wait.group, await soon(wait.end, "a wait for a group that has ended"), false);
        model.waiting--;
        this.#world.tally.met("a wait that was told");
      } else {
        isTrue(!wait.isOver, "nobody is told of an end that has not come");
        this.#waits.push(wait);
      }
    }
  }

  async #advance(halves: number, isJustBefore: boolean): Promise<void> {
    const isOwing = this.#models.some((model) => model.isOwing);
    const isTimed = this.#models.some((model) => model.isTimed);
    if (!this.#world.isExact) await this.#leaveSilent();
    await this.#world.advance(halves, { isJustBefore, isOwing, isTimed });
    for (const [group, model] of this.#models.entries()) {
      for (const met of model.tick(this.#world.nowMs)) this.#world.tally.met(met);
      await this.#look(group);
    }
  }

  /** Lets everything come to its end, and looks once more. */
  async finish(): Promise<void> {
    if (this.#models.some((model) => model.isOwing)) await this.#world.deliver();
    for (const [group, model] of this.#models.entries()) {
      for (const delivery of model.rules.deliveries) delivery.tick(Number.POSITIVE_INFINITY);
      model.tick(this.#world.nowMs);
      await this.#look(group);
      if (model.rules.deliveries.length > 0) await this.#checkDeliveries(group, model);
    }
    await this.#checkWaits();
    this.#world.leave();
    await Promise.allSettled(this.#waits.map(({ end }) => end));
    if (
      !this.#world.isExact ||
      this.#models.some(({ rules: { deliveries } }) => deliveries.some(({ isNobodys }) => isNobodys))
    )
      return;
    await this.#world.outlive();
    for (const group of this.#models.keys()) {
      equal(await this.#of({ group, client: 0 }).tracker.status(this.#id(group)), null, "nothing is without an end");
    }
  }

  async #checkDeliveries(group: number, model: GroupModel): Promise<void> {
    const calls = await this.#world.deliveries(this.#id(group));
    let sum = 0;
    for (const delivery of model.rules.deliveries) {
      delivery.checkCalls(calls);
      sum += delivery.isOver ? delivery.attempts : 0;
      this.#world.tally.met(`delivery ${delivery.isNobodys ? "passed by" : delivery.isDead ? "dead" : "made"}`);
    }
    if (model.rules.deliveries.every(({ isOver, isNobodys }) => isOver || isNobodys)) equal(calls.length, sum, "calls");
    if (model.rules.deliveries.length > 1) this.#world.tally.met("deliveries of two generations");
  }

  #checkStatus(group: number, status: GroupStatus | null, isNow = true): void {
    const model = present(this.#models[group], "the model");
    const view = isNow ? model.view() : model.lastView();
    equal(status === null, view === undefined, "whether there is a status");
    if (status === null || view === undefined) return;
    equal(groupStatusOf(status), statusOf(view), "the status");
    equal(status.groupId, this.#id(group), "the group's id");
    const { record } = model;
    // Where the clock moves on between two steps, each call moves the deadline a little.
    const moved = this.#world.isExact ? record?.deadlineAtMs : model.extensions;
    const key = `${group} ${view.generation} ${moved}`;
    if (!this.#deadlines.has(key)) this.#deadlines.set(key, status.deadlineAtMs);
    equal(status.deadlineAtMs, this.#deadlines.get(key), "the deadline stays");
    equal(status.deadlineAtMs !== null, record?.deadlineAtMs !== undefined, "there is a deadline");
    const { delivery } = status;
    if (record?.delivery !== undefined) record.delivery.check(delivery, isNow);
    else equal(delivery.state, "none", "the delivery");
    this.#world.tally.met(`group ${status.state}`);
  }

  #id(group: number): string {
    return this.#world.id(`group-${group}`);
  }

  #of({ group, client }: { readonly group: number; readonly client: number }) {
    const model = present(this.#models[group], "the model");
    return { model, tracker: present(this.#trackers[client], "the tracker"), id: this.#id(group) };
  }
}

async function collected<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

const lineOf = ({ task, result }: { readonly task: Task; readonly result: unknown }) => {
  return { taskId: task.id, stage: task.stage ?? null, result };
};
