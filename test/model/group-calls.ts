import type { GroupStatus } from "../../src/delivery/group-status.js";
import { equal, isTrue } from "../../src/testing/assert.js";
import type { CompletionTracker } from "../../src/trackers/completion.js";
import type { AckResult } from "../../src/trackers/group/ack-result.js";
import type { RegisterOptions } from "../../src/trackers/group/registration.js";
import { payloadOf } from "./delivery-model.js";
import type { GroupModel } from "./group-model.js";
import { type Acked, type Changed, keyOf, type Restart, type Spec, type Task, type TaskDone } from "./group-record.js";
import { type GroupCall, specOf, type Which } from "./group-steps.js";
import { isAnswerToCopy } from "./known-calls.js";
import { UNIT_MS, type World } from "./world.js";

export const EARLY_TTL_MS = 0.6 * UNIT_MS;

/** A call that is ready to be sent: as a new call, or as a late copy of the call `op`. Returns the call's id. */
export interface Sent {
  readonly send: (op: string | undefined) => Promise<string>;
  /** A late copy of the call is known, or is surely a new call. */
  readonly isCertain: (op: string) => boolean;
}

interface Subject {
  readonly model: GroupModel;
  readonly tracker: CompletionTracker;
  readonly id: string;
}

interface Surroundings {
  readonly world: World;
  readonly of: (step: { readonly group: number; readonly client: number }) => Subject;
  readonly check: (group: number, status: GroupStatus | null) => void;
}

type Send = Sent["send"];
type Step<Name extends GroupCall["step"]> = Extract<GroupCall, { step: Name }>;

/** The calls of a `CompletionTracker`, each held against the model. */
export class GroupCalls {
  readonly #on: Surroundings;

  constructor(on: Surroundings) {
    this.#on = on;
  }

  prepare(step: GroupCall): Sent {
    const { model } = this.#on.of(step);
    const tasks = "tasks" in step ? step.tasks : "task" in step ? [step.task] : [];
    return { send: this.#sending(step), isCertain: (op) => model.remembers(op, tasks) };
  }

  #sending(step: GroupCall): Send {
    if (step.step === "register") return this.#registering(step);
    if (step.step === "ack") return this.#acking(step, step.tasks, { view: step.view, next: step.next });
    if (step.step === "fail") return this.#acking(step, [{ ...step.task, error: "failed" }], {});
    if (step.step === "decrement") return this.#decrementing(step);
    if (step.step === "add" || step.step === "retry" || step.step === "seal") return this.#changing(step);
    if (step.step === "heartbeat") return this.#beating(step);
    if (step.step === "remove") return this.#removing(step);
    return this.#ending(step);
  }

  #registering(step: Step<"register">): Send {
    const { model, tracker, id } = this.#on.of(step);
    const { world } = this.#on;
    const spec = step.same && model.current !== undefined ? model.current.spec : specOf(step, world.isExact);
    const restart = this.#restart(step);
    return async (copied) => {
      const tasks = typeof spec.tasks === "number" ? spec.tasks : spec.tasks.map((task) => ({ ...task }));
      const options = { ...optionsOf(spec), ...restartOption(restart) } as RegisterOptions;
      const { outcome, op } = await world.call(() => tracker.register(id, tasks, options), copied);
      const { highest, current } = model;
      const number = "value" in outcome ? outcome.value.generation : undefined;
      const expected = model.register(op, spec, restart, number);
      const isRefused = expected !== "created" && expected !== "exists";
      equal("error" in outcome ? outcome.error : "done", isRefused ? "conflict" : "done", `register ${expected}`);
      if (expected === "created") isTrue(number !== undefined && number > highest, "generations grow");
      const kept = restart?.keep === undefined ? "" : ", kept";
      world.tally.met(`register ${expected}${expected === "created" && current !== undefined ? ` again${kept}` : ""}`);
      if ("value" in outcome) this.#on.check(step.group, outcome.value);
      return op;
    };
  }

  #restart({ restart, ...step }: Step<"register">): Restart | undefined {
    if (restart === "true") return {};
    const from = this.#generation(step, restart === "keep" ? "current" : restart);
    if (from === undefined) return undefined;
    return restart === "keep" ? { from, keep: "succeeded" } : { from };
  }

  #acking(
    step: Step<"ack" | "fail">,
    tasks: readonly TaskDone[],
    { view = false, next }: { readonly view?: boolean; readonly next?: readonly Task[] | undefined },
  ): Send {
    const { model, tracker, id } = this.#on.of(step);
    const { world } = this.#on;
    const generation = this.#generation(step, step.generation);
    const options = {
      ...(generation === undefined ? {} : { generation }),
      ...(next === undefined ? {} : { next: next.map((task) => ({ ...task })) }),
    };
    const given = tasks.map((task) => ({ ...task }));
    return async (copied) => {
      const acks = async (): Promise<{ results: AckResult[]; status?: GroupStatus | null }> => {
        if (view) return tracker.ackAndStatus(id, given, options);
        const [only] = given;
        if (given.length > 1 || only === undefined) return { results: await tracker.ack(id, given, options) };
        const { error, ...task } = only;
        if (error !== undefined) return { results: [await tracker.fail(id, task, error, options)] };
        return { results: [await tracker.ack(id, only, options)] };
      };
      const settledBefore = settledTasks(model);
      const { outcome, op } = await world.call(acks, copied);
      const expected = model.ack(op, { tasks, next, generation, earlyTtlMs: EARLY_TTL_MS });
      if (expected === "refused") equal(outcome, { error: "conflict" }, "ack with next tasks in a closed group");
      else if ("error" in outcome) equal(outcome, { value: expected }, "ack");
      else {
        for (const [i, result] of outcome.value.results.entries()) {
          const key = keyOf(tasks[i] as Task);
          const isKnown = copied !== undefined ? settledBefore.has(key) : undefined;
          checkAck(result, expected[i] as Acked, { isKnown, isSettled: settledTasks(model).has(key) });
        }
        if (outcome.value.status !== undefined) this.#on.check(step.group, outcome.value.status);
      }
      for (const line of expected === "refused" ? [] : expected) world.tally.met(`ack ${line.verdict}`);
      return op;
    };
  }

  #decrementing(step: Step<"decrement">): Send {
    const { model, tracker, id } = this.#on.of(step);
    const generation = this.#generation(step, step.generation);
    const { opId } = step;
    const options = { ...(opId === undefined ? {} : { opId }), ...(generation === undefined ? {} : { generation }) };
    return async (copied) => {
      const known = copied ?? opId;
      if (known !== undefined && model.mayBeForgotten(known)) return known;
      const { outcome, op } = await this.#on.world.call(() => tracker.decrement(id, step.by, options), copied);
      const expected = model.decrement(op, step.by, { generation });
      equal(outcome, expected === "refused" ? { error: "conflict" } : { value: expected ?? null }, "decrement");
      const met = expected === undefined ? "unknown" : expected === "refused" ? "conflict" : "counted";
      this.#on.world.tally.met(`decrement ${met}`);
      return op;
    };
  }

  #changing(step: Step<"add" | "retry" | "seal">): Send {
    const { model, tracker, id } = this.#on.of(step);
    const { world } = this.#on;
    const generation = this.#generation(step, step.generation);
    const options = generation === undefined ? {} : { generation };
    const tasks = step.step === "seal" ? [] : step.tasks.map((task) => ({ ...task }));
    const call = async (): Promise<{ outcome: string; named: readonly Task[]; status: GroupStatus | null }> => {
      if (step.step === "seal") return { outcome: "", named: [], status: await tracker.seal(id, options) };
      if (step.step === "add") {
        const { outcome, added, status } = await tracker.add(id, tasks, options);
        return { outcome, named: added.map(taskOf), status };
      }
      const { outcome, reopened, status } = await tracker.retry(id, tasks, options);
      return { outcome, named: reopened.map(taskOf), status };
    };
    return async (copied) => {
      const { outcome, op } = await world.call(call, copied);
      const expected = this.#changed(model, op, step, generation);
      world.tally.met(`${step.step} ${expected.outcome}`);
      if (expected.outcome === "refused") equal(outcome, { error: "conflict" }, "add to a closed group");
      else if ("error" in outcome) equal(outcome, { value: expected }, step.step);
      else {
        const { letters = "" } = expected;
        const named = tasks.filter((_, i) => letters[i] === (step.step === "add" ? "n" : "r"));
        if (step.step !== "seal") equal(outcome.value.outcome, expected.outcome, step.step);
        equal(outcome.value.named, named, `${step.step}: the tasks`);
        if (outcome.value.status !== null) this.#on.check(step.group, outcome.value.status);
        else equal(expected.outcome, "unknown", step.step);
      }
      return op;
    };
  }

  #changed(model: GroupModel, op: string, step: Step<"add" | "retry" | "seal">, generation?: number): Changed {
    if (step.step === "add") return model.add(op, step.tasks, { generation });
    return step.step === "retry" ? model.retry(op, step.tasks, { generation }) : model.seal(op, { generation });
  }

  /** Cancels, or moves the deadline. */
  #ending(step: Step<"cancel" | "extend">): Send {
    const { model, tracker, id } = this.#on.of(step);
    const { world } = this.#on;
    const generation = this.#generation(step, step.generation);
    const options = generation === undefined ? {} : { generation };
    const timeoutMs = 1.5 * UNIT_MS;
    return async (copied) => {
      const { outcome, op } = await world.call((): Promise<GroupStatus | null> => {
        if (step.step === "cancel") return tracker.cancel(id, "enough", options);
        return tracker.extend(id, { timeoutSec: timeoutMs / 1_000, ...options });
      }, copied);
      if (step.step === "cancel") model.cancel("enough", { generation });
      else model.extend(timeoutMs, { generation });
      if ("error" in outcome) equal(outcome, "a value", step.step);
      else this.#on.check(step.group, outcome.value);
      return op;
    };
  }

  #beating(step: Step<"heartbeat">): Send {
    const { model, tracker, id } = this.#on.of(step);
    const generation = this.#generation(step, step.generation);
    return async (copied) => {
      const options = generation === undefined ? {} : { generation };
      const { outcome, op } = await this.#on.world.call(() => tracker.heartbeat(id, options), copied);
      const state = model.current?.state ?? "unregistered";
      equal(outcome, { value: { alive: model.heartbeat({ generation }), state } }, "heartbeat");
      this.#on.world.tally.met("heartbeat");
      return op;
    };
  }

  #removing(step: Step<"remove">): Send {
    const { model, tracker, id } = this.#on.of(step);
    return async (copied) => {
      const { outcome, op } = await this.#on.world.call(() => tracker.remove(id), copied);
      const expected = model.remove(op);
      equal(outcome, { value: expected }, "remove");
      this.#on.world.tally.met(`remove ${expected}`);
      return op;
    };
  }

  #generation(step: { readonly group: number; readonly client: number }, which: Which): number | undefined {
    const { current, highest } = this.#on.of(step).model;
    if (which === "none") return undefined;
    return which === "current" ? current?.number : Math.max(0, highest - 1);
  }
}

/** `isKnown`: of a late copy, whether its task had settled before. `undefined`: not a copy. */
function checkAck(
  { verdict, ...rest }: AckResult,
  expected: Acked,
  { isKnown, isSettled }: { readonly isKnown: boolean | undefined; readonly isSettled: boolean },
): void {
  const { verdict: want, state, ended, remaining = null, generation = null } = expected;
  if (isKnown !== undefined && isAnswerToCopy(verdict, want, isKnown)) return;
  // After a lost reply the answer is that to the second copy: the announcement of the call has counted its early ack.
  if (want === "early" && verdict === "accepted" && isSettled) return;
  equal({ verdict, ...rest }, { verdict: want, state, ended, remaining, generation }, "ack");
}

const taskOf = ({ taskId, stage }: { readonly taskId: string; readonly stage: string | null }): Task =>
  stage === null ? { id: taskId } : { stage, id: taskId };

function settledTasks({ current }: GroupModel): Set<string> {
  const entries = [...(current?.entries ?? [])];
  return new Set(entries.filter(([, { state }]) => state !== "open").map(([key]) => key));
}

function optionsOf({ grows, policy, target, timeoutMs, idleMs, ttlMs, metadata }: Spec): object {
  const { toleratedFailurePpm, ...limits } = policy ?? {};
  const percentage =
    toleratedFailurePpm === undefined ? {} : { toleratedFailurePercentage: toleratedFailurePpm / 10_000 };
  return {
    ...{ timeoutSec: timeoutMs / 1_000, ttlSec: ttlMs / 1_000, metadata, open: grows === true },
    ...(idleMs === undefined ? {} : { idleTimeoutSec: idleMs / 1_000 }),
    ...(policy === undefined ? {} : { complete: { ...limits, ...percentage } }),
    ...(target === undefined ? {} : { [target.end]: { handler: target.handler, payload: payloadOf(target) } }),
  };
}

function restartOption(restart: Restart | undefined): object {
  if (restart === undefined) return {};
  return { restart: restart.from === undefined ? true : restart };
}
