import { equal, isTrue, present } from "../../src/testing/assert.js";
import type { RequestStatus } from "../../src/trackers/request/status.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { GroupModel } from "./group-model.js";
import { type Generation, hasNoOpenTask, inOrder } from "./group-record.js";
import type { View } from "./group-view.js";
import { type RequestCall, type RequestStep, STAGES, type Stage, type StageTask } from "./request-steps.js";
import { soon, UNIT_MS, type World } from "./world.js";

/** A record that was kept a quarter of it longer goes between the same two halves of a unit. */
const EARLY_TTL_MS = 300_000;
const SPEC = { fingerprint: "open", tasks: [], grows: true, timeoutMs: 0, ttlMs: 1.3 * UNIT_MS };
const TTL_MS = 1.3 * UNIT_MS;
const DAY_MS = 86_400_000;
const REQUESTS = 2;

interface Wait {
  readonly request: number;
  readonly end: Promise<RequestStatus<Stage> | null>;
  readonly controller: AbortController;
  isOver: boolean;
}

/** Takes steps against a backend, and holds what it answers against the model. */
export class RequestRun {
  readonly #world: World;
  readonly #trackers: readonly RequestWaitTracker<Stage>[];
  readonly #models: readonly GroupModel[];
  readonly #calls: { readonly op: string; readonly atMs: number; readonly send: (op: string) => Promise<string> }[] =
    [];
  /** The calls that have registered a request, the last one first. */
  readonly #callers: string[] = [];
  /** Which generation stood when a call was first sent. */
  readonly #registeredBy = new Map<string, number | undefined>();
  readonly #waits: Wait[] = [];
  /** The newest version that was told, and how many changes had been made by then. */
  readonly #versions = new Map<number, { readonly version: string; readonly changes: string }>();

  constructor(world: World) {
    this.#world = world;
    this.#trackers = world.clients.map((on) => new RequestWaitTracker(on, { stages: STAGES, ttlSec: TTL_MS / 1_000 }));
    this.#models = Array.from({ length: REQUESTS }, () => new GroupModel({ isRequest: true }));
  }

  async take(step: RequestStep): Promise<void> {
    if (step.step === "advance") await this.#advance(step.halves, step.justBefore);
    else if (step.step === "look") await this.#look(step.request);
    else if (step.step === "wait") await this.#wait(step);
    else if (step.step === "progress") await this.#progress(step);
    else if (step.step === "copy") await this.#copy(step.of);
    else {
      const send = this.#sending(step);
      this.#calls.push({ op: await send(undefined), atMs: this.#world.nowMs, send });
    }
    if (this.#world.isExact) await this.#look(step.request);
    await this.#checkWaits();
  }

  /** Within the minute in which calls are known: a copy that comes later is a call of its own. */
  async #copy(of: number): Promise<void> {
    const known = this.#calls.filter(({ atMs }) => atMs === this.#world.nowMs);
    const call = known[of % Math.max(1, known.length)];
    if (call === undefined) return;
    this.#world.tally.met("a late copy");
    await call.send(call.op);
  }

  #sending(step: RequestCall): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    // One of the calls that have registered a request so far.
    const caller =
      step.step === "abandon" ? (this.#callers[step.caller % Math.max(1, this.#callers.length)] ?? "x") : "";
    const task = this.#settled(step);
    const call = async (): Promise<unknown> => {
      if (step.step === "abandon") return (await tracker.abandon(id, { caller, message: "abandoned" })).outcome;
      if (step.step === "register") return (await tracker.register(id)).generation;
      if (step.step === "seal") return (await tracker.seal(id)) === null ? "unknown" : "sealed";
      if (step.step === "cancel") return (await tracker.cancel(id, "enough")) === null ? "unknown" : "cancelled";
      if (step.step === "remove") return tracker.remove(id);
      if (step.step === "add") {
        const { outcome, added } = await tracker.add(id, step.stage, step.taskIds);
        return { outcome, added };
      }
      if (step.step === "failed") return tracker.fail(id, task.stage, task.id, "broken");
      if (step.step === "done") {
        const next = inOrder(step.next).map(({ stage, id: taskIds }) => ({ stage, taskIds }));
        return tracker.ack(id, task.stage, task.id, { processed: step.processed, next });
      }
      return tracker.count(id, step.stage, countsOf(step));
    };
    return async (copied) => {
      // A copy of a call that an earlier registration had may be answered as then; it changes nothing.
      const isOld = copied !== undefined && this.#registeredBy.get(copied) !== model.current?.number;
      const { outcome, op } = await this.#world.call(call, copied);
      if (step.step === "register" && copied === undefined) this.#callers.unshift(op);
      const number = step.step === "register" && "value" in outcome ? (outcome.value as number) : undefined;
      const before = this.#state(model);
      const expected = this.#expected(step, op, { caller, task, number });
      if (copied === undefined) this.#registeredBy.set(op, model.current?.number);
      if (step.step === "register") equal("error" in outcome, expected === "removed", "register");
      else if (!isOld) equal(outcome, { value: expected }, step.step);
      const state = step.step === "remove" ? before : this.#state(model);
      this.#world.tally.met(isOld ? "a late copy from an earlier life" : `${step.step} ${wordOf(expected)} ${state}`);
      return op;
    };
  }

  #expected(
    step: RequestCall,
    op: string,
    {
      caller,
      task,
      number,
    }: { readonly caller: string; readonly task: StageTask; readonly number: number | undefined },
  ): unknown {
    const model = this.#model(step.request);
    if (step.step === "register") return model.register(op, SPEC, undefined, number);
    if (step.step === "abandon") return model.abandon(op, caller, "abandoned");
    if (step.step === "remove") return model.remove(op);
    if (step.step === "seal") return model.seal(op).outcome === "unknown" ? "unknown" : "sealed";
    if (step.step === "cancel") {
      model.cancel("enough");
      return model.current === undefined ? "unknown" : "cancelled";
    }
    if (step.step === "add") {
      const { outcome, letters = "" } = model.add(
        op,
        step.taskIds.map((id) => ({ stage: step.stage, id })),
      );
      return { outcome, added: step.taskIds.filter((_, i) => letters[i] === "n") };
    }
    if (step.step === "count")
      return { verdict: model.count(op, { stage: step.stage, ...countsOf(step) }), state: this.#state(model) };
    const isDone = step.step === "done";
    const done = isDone ? { ...task, processed: step.processed } : { ...task, error: "broken" };
    const next = isDone && step.next.length > 0 ? inOrder(step.next) : undefined;
    const acked = model.ack(op, { tasks: [done], next, earlyTtlMs: EARLY_TTL_MS });
    return { verdict: acked === "refused" ? acked : acked[0]?.verdict, state: this.#state(model) };
  }

  #state(model: GroupModel): RequestStatus["state"] | "unknown" {
    const view = model.view();
    return view === undefined ? "unknown" : stateOf(view);
  }

  /** Which task a call settles. */
  #settled(step: RequestCall): StageTask {
    if (step.step !== "done" && step.step !== "failed") return { stage: "parse", id: "a" };
    const entries = [...(this.#of(step).model.current?.entries.values() ?? [])];
    const open = entries.find(({ state }) => state === "open")?.task;
    return step.isOpen && open !== undefined ? (open as StageTask) : step.task;
  }

  async #look(request: number): Promise<void> {
    const { model, tracker, id } = this.#of({ request, client: 0 });
    this.#check(await tracker.status(id), model.view());
    this.#world.tally.met(`request ${this.#state(model)}`);
  }

  #check(status: RequestStatus<Stage> | null, view: View | undefined): void {
    equal(status === null, view === undefined, "whether there is a status");
    if (status === null || view === undefined) return;
    const { state, final, open, stages, generation, reason } = status;
    equal({ state, final, open, stages, generation, reason }, requestStatusOf(view), "the status");
  }

  async #progress(step: RequestStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const before = this.#versions.get(step.request);
    const { record } = model;
    const changes = `${record?.number}.${record?.changes}`;
    const isNew = record?.state === "open" && before?.changes === changes;
    // A look with news writes nothing: the follower comes back with the version that it has seen.
    if (isNew) model.look();
    const once = this.#world.call(() => tracker.newer(id, isNew ? before.version : "", { timeoutMs: 0 }));
    if (this.#world.isExact) await this.#world.rest();
    const { outcome } = await once;
    if (isNew) return equal(outcome, { error: "wait_timeout" }, "progress without news");
    if ("error" in outcome) return equal(outcome, "a value", "progress");
    this.#check(outcome.value, model.lastView());
    if (outcome.value === null) return;
    const { version } = outcome.value;
    if (before !== undefined) equal(version === before.version, changes === before.changes, "a version that changes");
    this.#versions.set(step.request, { version, changes });
    this.#world.tally.met("progress");
  }

  /** One look, or one that stays until no task is open. */
  async #wait(step: RequestStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const { record } = model;
    const isPending = record !== undefined && isPendingRecord(record);
    model.look();
    const once = this.#world.call(() => tracker.wait(id, { timeoutMs: isPending ? 0 : DAY_MS }));
    if (this.#world.isExact) await this.#world.rest();
    const { outcome } = await soon(once, "a wait for a request that is complete or unknown");
    if ("error" in outcome) return equal(outcome, "a value", "a wait");
    this.#check(outcome.value, model.lastView());
    if (!isPending) return;
    const controller = new AbortController();
    const end = tracker.wait(id, { timeoutMs: DAY_MS, signal: controller.signal });
    const wait = { request: step.request, end, controller, isOver: false };
    const over = (): void => {
      wait.isOver = true;
    };
    end.then(over, over);
    model.waiting++;
    this.#waits.push(wait);
    // Asked after it, so that the wait has begun before the clock jumps.
    if (!this.#world.isExact) await this.#look(step.request);
  }

  /** A waiter reads the end, of the step that brought it. */
  async #checkWaits(): Promise<void> {
    for (const wait of this.#waits.splice(0)) {
      const model = this.#model(wait.request);
      const { record } = model;
      if (record !== undefined && isPendingRecord(record)) {
        isTrue(!wait.isOver, "no waiter is told of an end that has not come");
        this.#waits.push(wait);
        continue;
      }
      this.#check(await soon(wait.end, "a wait for a request that has ended"), model.lastView());
      this.#world.tally.met("a wait that was told");
      model.waiting--;
    }
  }

  async #advance(halves: number, isJustBefore: boolean): Promise<void> {
    // Where the clock jumps, no caller can keep a request meanwhile.
    if (!this.#world.isExact) await this.#leave();
    await this.#world.advance(halves, { isJustBefore });
    for (const model of this.#models) {
      for (const passed of model.tick(this.#world.nowMs)) this.#world.tally.met(passed);
    }
    for (const request of this.#models.keys()) await this.#look(request);
  }

  async #leave(): Promise<void> {
    for (const { controller, end, request } of this.#waits.splice(0)) {
      controller.abort(new Error("gives up"));
      await Promise.allSettled([end]);
      this.#model(request).waiting--;
    }
  }

  async finish(): Promise<void> {
    for (const request of this.#models.keys()) await this.#look(request);
    await this.#leave();
    if (!this.#world.isExact) return;
    await this.#world.outlive();
    for (const request of this.#models.keys()) {
      const { tracker, id } = this.#of({ request, client: 0 });
      equal(await tracker.status(id), null, "nothing is without an end");
    }
  }

  #model(request: number): GroupModel {
    return present(this.#models[request], "the model");
  }

  #of({ request, client }: { readonly request: number; readonly client: number }) {
    const tracker = present(this.#trackers[client], "the tracker");
    return { model: this.#model(request), tracker, id: this.#world.id(`request-${request}`) };
  }
}

const isPendingRecord = (record: Generation): boolean => record.state === "open" && !hasNoOpenTask(record);

type Counted = Extract<RequestStep, { step: "count" }>;

function countsOf({ what, n }: Counted): { processed?: number; requeued?: number; error?: string } {
  return { processed: { processed: n }, requeue: { requeued: n }, error: { error: "passing" } }[what];
}

/** The word of an answer, for the tally. */
function wordOf(expected: unknown): string {
  const { verdict, outcome } = Object(expected) as { verdict?: string; outcome?: string };
  return verdict ?? outcome ?? String(expected);
}

function stateOf({ state, remaining, total, sealed }: View): RequestStatus["state"] {
  if (state === "timed_out" || state === "cancelled") return state;
  return state !== "open" || (remaining <= 0 && (total > 0 || sealed)) ? "complete" : "pending";
}

function requestStatusOf(view: View) {
  const stages = STAGES.map((name) => {
    const counts = view.stages.find(({ stage }) => stage === name);
    const { total = 0, succeeded = 0, failed = 0, processed = 0, requeued = 0, errors = 0 } = counts ?? {};
    const own = view.errors.filter(({ stage }) => stage === name);
    const lines = own.map(({ taskId = null, message }) => ({ taskId, message }));
    const open = total - succeeded - failed;
    return [name, { total, open, processed, requeueCount: requeued, errorCount: errors, errors: lines }];
  });
  return {
    ...{ state: stateOf(view), final: view.state !== "open", open: view.remaining, generation: view.generation },
    ...{ stages: Object.fromEntries(stages), reason: view.reason ?? null },
  };
}
