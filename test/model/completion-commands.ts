import type { GroupStatus } from "../../src/delivery/group-status.js";
import { equal, isTrue, present } from "../../src/testing/assert.js";
import type { AckResult } from "../../src/trackers/ack-result.js";
import type { CompletionTracker } from "../../src/trackers/completion.js";
import { GroupModel, type TaskDone } from "./completion-model.js";
import type { Restart } from "./completion-spec.js";
import { type CompletionCall, type CompletionStep, specOf, type Which } from "./completion-steps.js";
import { payloadOf } from "./delivery-model.js";
import { soon, UNIT_MS, type World } from "./world.js";

const EARLY_TTL_MS = 0.6 * UNIT_MS;
const DAY_MS = 86_400_000;
const GROUPS = 2;

/** A call with all that was decided about it, so that a late copy of it is the same. */
interface Made {
  readonly op: string;
  readonly again: (op: string) => Promise<void>;
  readonly isRegistration: boolean;
}

/** Takes steps against a backend, and holds what it answers against the model. */
export class CompletionRun {
  readonly #world: World;
  readonly #trackers: readonly CompletionTracker[];
  readonly #models: readonly GroupModel[];
  readonly #calls: Made[] = [];
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
    this.#models = Array.from({ length: GROUPS }, () => new GroupModel({ earlyTtlMs: EARLY_TTL_MS, maxAttempts }));
  }

  async take(step: CompletionStep): Promise<void> {
    if (step.step === "advance") await this.#advance(step.halves, step.justBefore);
    else await this.#take(step);
    if (this.#world.isExact) await this.#look(step.group);
    await this.#checkWaits();
  }

  async #take(step: Exclude<CompletionStep, { step: "advance" }>): Promise<void> {
    const { group } = step;
    if (step.step === "look") await this.#look(group);
    else if (step.step === "wait") await this.#wait(step);
    else if (step.step === "redeliver") await this.#redeliver(step);
    else if (step.step === "results") await this.#results(step);
    else if (step.step === "copy") await this.#copy(step.of);
    else await this.#first(step);
  }

  /** A call that may come again: everything about it is settled before it is sent. */
  async #first(step: CompletionCall): Promise<void> {
    const send = this.#sending(step);
    const op = await send(undefined);
    this.#calls.push({
      op,
      again: async (copied) => void (await send(copied)),
      isRegistration: step.step === "register",
    });
  }

  #sending(step: CompletionCall): (op: string | undefined) => Promise<string> {
    if (step.step === "register") return this.#registering(step);
    if (step.step === "ack") return this.#acking(step, step.tasks, step.view);
    if (step.step === "fail") return this.#acking(step, [{ id: step.task, error: "failed" }], false);
    if (step.step === "decrement") return this.#decrementing(step);
    return this.#cancelling(step);
  }

  async #copy(of: number): Promise<void> {
    const call = this.#calls[of % Math.max(1, this.#calls.length)];
    // Of eight generations the calls are known that made them.
    if (call === undefined || (call.isRegistration && this.#models.some(({ made }) => made.size > 8))) return;
    this.#world.tally.met("a late copy");
    await call.again(call.op);
  }

  #registering(step: Extract<CompletionStep, { step: "register" }>): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    const spec = step.same && model.current !== undefined ? model.current.spec : specOf(step, this.#world.isExact);
    const { target } = spec;
    const from = this.#generation(step.group, step.restart === "true" ? "none" : step.restart);
    const restart: Restart = step.restart === "true" ? true : from === undefined ? undefined : { from };
    return async (copied) => {
      const tasks = typeof spec.tasks === "number" ? spec.tasks : [...spec.tasks];
      const options = {
        timeoutSec: spec.timeoutMs / 1_000,
        ttlSec: spec.ttlMs / 1_000,
        metadata: spec.metadata,
        ...(target === undefined ? {} : { [target.end]: { handler: target.handler, payload: payloadOf(target) } }),
        ...(restart === undefined ? {} : { restart }),
      };
      const { outcome, op } = await this.#world.call(() => tracker.register(id, tasks, options), copied);
      const { highest } = model;
      const number = "value" in outcome ? outcome.value.generation : undefined;
      const before = model.current;
      const expected = model.register(op, spec, restart, number);
      equal("error" in outcome ? outcome.error : "done", "error" in expected ? expected.error : "done", "register");
      if ("error" in expected) this.#world.tally.met(`register ${expected.error}`);
      if ("value" in expected) {
        if (expected.value === "created") isTrue(number !== undefined && number > highest, "generations grow");
        this.#world.tally.met(`register ${expected.value}${before === undefined ? "" : " again"}`);
      }
      if ("value" in outcome) this.#checkStatus(step.group, outcome.value);
      return op;
    };
  }

  #acking(
    step: { readonly group: number; readonly client: number; readonly generation: Which },
    tasks: readonly TaskDone[],
    view: boolean,
  ): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    const generation = this.#generation(step.group, step.generation);
    const options = generation === undefined ? {} : { generation };
    const given = tasks.map((one) => ({ ...one }) as { id: string });
    return async (copied) => {
      const acks = async (): Promise<{ results: AckResult[]; status?: GroupStatus | null }> => {
        if (view) return tracker.ackAndStatus(id, given, options);
        const [only] = given;
        const error = tasks[0]?.error;
        if (given.length > 1 || only === undefined) return { results: await tracker.ack(id, given, options) };
        if (error !== undefined) return { results: [await tracker.fail(id, only.id, error, options)] };
        return { results: [await tracker.ack(id, only, options)] };
      };
      const { outcome, op } = await this.#world.call(acks, copied);
      const expected = model.ack(op, tasks, generation);
      if ("error" in outcome) equal(outcome, { value: expected }, "ack");
      else {
        const { results } = outcome.value;
        // After a lost reply, the resent call returns the current state, when the whole call has counted.
        const isAgain = results[0]?.remaining !== expected[0]?.remaining;
        const last = expected.at(-1);
        const told = { state: last?.state, remaining: last?.remaining };
        equal(results, isAgain ? expected.map((one) => ({ ...one, ...told })) : expected, "ack");
        if (outcome.value.status !== undefined) this.#checkStatus(step.group, outcome.value.status);
      }
      for (const { verdict } of expected) this.#world.tally.met(`ack ${verdict}`);
      return op;
    };
  }

  #decrementing(step: Extract<CompletionStep, { step: "decrement" }>): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    const generation = this.#generation(step.group, step.generation);
    const { opId } = step;
    const options = { ...(opId === undefined ? {} : { opId }), ...(generation === undefined ? {} : { generation }) };
    return async (copied) => {
      const known = copied ?? opId;
      if (known !== undefined && model.mayBeForgotten(known)) return known;
      const { outcome, op } = await this.#world.call(() => tracker.decrement(id, step.by, options), copied);
      const expected = model.decrement(op, step.by, generation);
      equal(outcome, expected, "decrement");
      this.#world.tally.met(
        `decrement ${"error" in expected ? expected.error : expected.value === null ? "unknown" : "counted"}`,
      );
      return op;
    };
  }

  #cancelling(step: Extract<CompletionStep, { step: "cancel" }>): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    const generation = this.#generation(step.group, step.generation);
    const options = generation === undefined ? {} : { generation };
    return async (copied) => {
      const { outcome, op } = await this.#world.call(() => tracker.cancel(id, "enough", options), copied);
      model.cancel("enough", generation);
      if ("error" in outcome) equal(outcome, { value: model.status() }, "cancel");
      else this.#checkStatus(step.group, outcome.value);
      return op;
    };
  }

  async #redeliver(step: CompletionStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    if (model.deliveries.some((delivery) => delivery.isDying)) return;
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

  async #results(step: Extract<CompletionStep, { step: "results" }>): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const { after, limit } = step;
    equal(await tracker.results(id, { after, limit }), model.results(after, limit), "results");
  }

  async #look(group: number): Promise<void> {
    this.#checkStatus(group, await this.#of({ group, client: 0 }).tracker.status(this.#id(group)));
  }

  /** One look, or one that stays until the group has ended. */
  async #wait(step: CompletionStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const isEnded = model.current !== undefined && model.current.state !== "open";
    if (isEnded) return this.#checkStatus(step.group, await soon(tracker.wait(id, { timeoutMs: DAY_MS }), "the wait"));
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
      const { current } = model;
      if (current !== undefined && current.state !== "open") {
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
    for (const { deliveries } of this.#models)
      for (const delivery of deliveries) delivery.tick(Number.POSITIVE_INFINITY);
    for (const [group, model] of this.#models.entries()) {
      await this.#look(group);
      if (model.deliveries.length > 0) await this.#checkDeliveries(group, model);
    }
    await this.#checkWaits();
    this.#world.leave();
    await Promise.allSettled(this.#waits.map(({ end }) => end));
    if (!this.#world.isExact || this.#models.some(({ deliveries }) => deliveries.some(({ isNobodys }) => isNobodys)))
      return;
    await this.#world.outlive();
    for (const group of this.#models.keys()) {
      equal(await this.#of({ group, client: 0 }).tracker.status(this.#id(group)), null, "nothing is without an end");
    }
  }

  async #checkDeliveries(group: number, model: GroupModel): Promise<void> {
    const calls = await this.#world.deliveries(this.#id(group));
    let sum = 0;
    for (const delivery of model.deliveries) {
      delivery.checkCalls(calls);
      sum += delivery.isOver ? delivery.attempts : 0;
      this.#world.tally.met(`delivery ${delivery.isNobodys ? "passed by" : delivery.isDead ? "dead" : "made"}`);
    }
    if (model.deliveries.every(({ isOver, isNobodys }) => isOver || isNobodys)) equal(calls.length, sum, "calls");
    if (model.deliveries.length > 1) this.#world.tally.met("deliveries of two generations");
  }

  #checkStatus(group: number, status: GroupStatus | null, isNow = true): void {
    const model = present(this.#models[group], "the model");
    if (status === null || model.current === undefined) {
      equal(status, model.status(), "the status");
      return;
    }
    const { groupId, deadlineAtMs, delivery, ...rest } = status;
    equal(rest, model.status(), "the status");
    equal(groupId, this.#id(group), "the group's id");
    const { current } = model;
    const key = `${group} ${rest.generation}`;
    if (!this.#deadlines.has(key)) this.#deadlines.set(key, deadlineAtMs);
    equal(deadlineAtMs, this.#deadlines.get(key), "the deadline stays");
    equal(deadlineAtMs !== null, current?.deadlineAtMs !== undefined, "there is a deadline");
    if (current?.delivery !== undefined) current.delivery.check(delivery, isNow);
    else equal(delivery, { state: "none", deliveryId: null, attempts: 0, lastError: null }, "the delivery");
    this.#world.tally.met(`group ${rest.state}`);
  }

  #generation(group: number, which: Which): number | undefined {
    const { current, highest } = present(this.#models[group], "the model");
    if (which === "none") return undefined;
    return which === "current" ? current?.number : Math.max(0, highest - 1);
  }

  #id(group: number): string {
    return this.#world.id(`group-${group}`);
  }

  #of({ group, client }: { readonly group: number; readonly client: number }) {
    const model = present(this.#models[group], "the model");
    return { model, tracker: present(this.#trackers[client], "the tracker"), id: this.#id(group) };
  }
}
