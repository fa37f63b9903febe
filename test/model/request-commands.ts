import { equal, isTrue, present } from "../../src/testing/assert.js";
import type { RequestResult } from "../../src/trackers/request-result.js";
import { type RequestProgress, RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { RequestModel, type Told } from "./request-model.js";
import { type RequestCall, type RequestStep, STAGES, type Stage, type StageRoot } from "./request-steps.js";
import { soon, UNIT_MS, type World } from "./world.js";

/** A record that was refreshed a quarter of it earlier ends between the same two halves of a unit. */
const TTL_MS = 1.4 * UNIT_MS;
const DAY_MS = 86_400_000;
const REQUESTS = 2;

interface Wait {
  readonly request: number;
  readonly end: Promise<RequestProgress<Stage> | null>;
  readonly controller: AbortController;
  isOver: boolean;
}

/** Takes steps against a backend, and holds what it answers against the model. */
export class RequestRun {
  readonly #world: World;
  readonly #trackers: readonly RequestWaitTracker<Stage>[];
  readonly #models: readonly RequestModel[];
  readonly #calls: { readonly op: string; readonly atMs: number; readonly send: (op: string) => Promise<string> }[] =
    [];
  /** The calls that have registered a request, the last one first. */
  readonly #callers: string[] = [];
  readonly #waits: Wait[] = [];
  /** The newest version that was told, and how many changes had been made by then. */
  readonly #versions = new Map<number, { readonly version: number; readonly changes: number }>();

  constructor(world: World) {
    this.#world = world;
    this.#trackers = world.clients.map((on) => new RequestWaitTracker(on, { stages: STAGES, ttlSec: TTL_MS / 1_000 }));
    this.#models = Array.from({ length: REQUESTS }, () => new RequestModel(STAGES, TTL_MS));
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
    if (step.step === "cleanup") return this.#cleaning(step);
    const marked = this.#marked(step);
    // One of the calls that have registered a request so far.
    const caller =
      step.step === "abandon" ? (this.#callers[step.caller % Math.max(1, this.#callers.length)] ?? "x") : "";
    const call = (): Promise<RequestResult> => {
      if (step.step === "abandon") return tracker.abandon(id, { caller, stage: "parse", message: "abandoned" });
      if (step.step === "register") return tracker.registerRequest(id);
      if (step.step === "seal") return tracker.seal(id);
      if (step.step === "roots") return tracker.registerRoot(id, step.stage, step.rootIds);
      if (step.step === "failed") return tracker.markFailed(id, marked.stage, marked.rootId, "broken");
      if (step.step === "done") {
        const { processed, next } = step;
        return tracker.markDone(id, marked.stage, marked.rootId, next.length === 0 ? processed : { processed, next });
      }
      if (step.what === "error") return tracker.recordError(id, step.stage, "passing");
      if (step.what === "requeue") return tracker.recordRequeue(id, step.stage, step.n);
      return tracker.recordProcessed(id, step.stage, step.n);
    };
    const expect = (op: string): Told => {
      if (step.step === "abandon") return model.abandon(op, caller, "parse", "abandoned");
      if (step.step === "register") return model.register(op);
      if (step.step === "seal") return model.seal(op);
      if (step.step === "roots") return model.registerRoots(op, step.stage, step.rootIds);
      if (step.step === "failed") return model.mark(op, marked, { processed: 0, error: "broken", next: [] });
      if (step.step === "done") return model.mark(op, marked, step);
      const counted = { processed: { processed: step.n }, requeue: { requeued: step.n }, error: { error: "passing" } };
      return model.record(op, step.stage, counted[step.what]);
    };
    return async (copied) => {
      const isOfAnotherLife = copied !== undefined && model.isOfAnotherLife(copied);
      const { outcome, op } = await this.#world.call(call, copied);
      if (step.step === "register" && copied === undefined) this.#callers.unshift(op);
      const expected = expect(op);
      if (isOfAnotherLife) this.#world.tally.met("a late copy from an earlier life");
      else {
        equal(outcome, { value: expected }, step.step);
        this.#world.tally.met(`${step.step} ${expected.verdict} ${expected.state}`);
      }
      return op;
    };
  }

  /** Which root a mark is for. */
  #marked(step: RequestCall): StageRoot {
    if (step.step !== "done" && step.step !== "failed") return { stage: "parse", rootId: "a" };
    const [open] = this.#of(step).model.openRoots;
    return step.isOpen && open !== undefined ? (open as StageRoot) : step.root;
  }

  #cleaning(step: RequestStep): (op: string | undefined) => Promise<string> {
    const { model, tracker, id } = this.#of(step);
    return async (copied) => {
      const state = model.state;
      const { outcome, op } = await this.#world.call(() => tracker.cleanup(id), copied);
      equal(outcome, { value: model.cleanup(op) }, "cleanup");
      this.#world.tally.met(`cleanup ${state}`);
      return op;
    };
  }

  async #look(request: number): Promise<void> {
    const { model, tracker, id } = this.#of({ request, client: 0 });
    equal(await tracker.queueStatus(id), model.status(), "the status");
    equal(await tracker.state(id), model.state, "the state");
    this.#world.tally.met(`request ${model.state}`);
  }

  async #progress(step: RequestStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const told = model.waited();
    const before = this.#versions.get(step.request);
    const isNew = before !== undefined && told === "pending" && before.changes === model.changes;
    model.follow();
    const once = this.#world.call(() => tracker.progress(id, isNew ? before.version : 0, { timeoutMs: 0 }));
    if (this.#world.isExact) await this.#world.rest();
    const { outcome } = await once;
    if (isNew) return equal(outcome, { error: "wait_timeout" }, "progress without news");
    if (told === null) return equal(outcome, { value: null }, "progress of an unknown request");
    if ("error" in outcome) return equal(outcome, "a value", "progress");
    const { version, status, open, state } = present(outcome.value, "progress");
    equal(state, told === "pending" ? "pending" : "complete", "the state");
    equal(open, model.openRoots.length, "open roots");
    if (told !== "pending") equal(status, told, "the status");
    if (before !== undefined && before.changes < model.changes) isTrue(version > before.version, "a version grows");
    this.#versions.set(step.request, { version, changes: model.changes });
    this.#world.tally.met("progress");
  }

  /** One look, or one that stays until the request is complete. */
  async #wait(step: RequestStep): Promise<void> {
    const { model, tracker, id } = this.#of(step);
    const told = model.waited();
    model.follow();
    const once = this.#world.call(() => tracker.waitForRequest(id, { timeoutMs: told === "pending" ? 0 : DAY_MS }));
    if (this.#world.isExact) await this.#world.rest();
    const { outcome } = await soon(once, "a wait for a request that is complete or unknown");
    if ("error" in outcome) return equal(outcome, "a value", "a wait");
    const expected = told === "pending" ? ["pending", model.status()] : told && ["complete", told];
    equal(outcome.value && [outcome.value.state, outcome.value.status], expected, "a wait");
    if (told !== "pending") return;
    const controller = new AbortController();
    const end = tracker.waitForRequest(id, { timeoutMs: DAY_MS, signal: controller.signal });
    const wait = { request: step.request, end, controller, isOver: false };
    const over = (): void => {
      wait.isOver = true;
    };
    end.then(over, over);
    model.waiting++;
    this.#waits.push(wait);
    // Asked after it, so that the wait has begun before the clock jumps.
    if (!this.#world.isExact) equal(await tracker.state(id), "pending", "the state");
  }

  /** A waiter reads the end, of the step that brought it. */
  async #checkWaits(): Promise<void> {
    for (const wait of this.#waits.splice(0)) {
      const model = this.#model(wait.request);
      const told = model.waited();
      if (told === "pending") {
        isTrue(!wait.isOver, "nobody is told of an end that has not come");
        this.#waits.push(wait);
        continue;
      }
      const end = await soon(wait.end, "a wait for a request that has ended");
      equal(end?.status ?? null, told, "what a waiter is told");
      this.#world.tally.met(told === null ? "a wait whose request went" : "a wait that was told");
      model.waiting--;
    }
  }

  async #advance(halves: number, isJustBefore: boolean): Promise<void> {
    // Where the clock jumps, no caller can keep a request meanwhile.
    if (!this.#world.isExact) await this.#leave();
    await this.#world.advance(halves, { isJustBefore });
    for (const model of this.#models) {
      if (model.tick(this.#world.nowMs)) this.#world.tally.met("expired");
    }
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
      equal(await tracker.state(id), "unknown", "nothing is without an end");
    }
  }

  #model(request: number): RequestModel {
    return present(this.#models[request], "the model");
  }

  #of({ request, client }: { readonly request: number; readonly client: number }) {
    const tracker = present(this.#trackers[client], "the tracker");
    return { model: this.#model(request), tracker, id: this.#world.id(`request-${request}`) };
  }
}
