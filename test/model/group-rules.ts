import { DeliveryModel } from "./delivery-model.js";
import {
  type Counts,
  countOf,
  type Early,
  type Failure,
  type Generation,
  isSealed,
  keyOf,
  leftOf,
  noCounts,
  type State,
  type Target,
  type Task,
  type TaskDone,
  totalOf,
} from "./group-record.js";
import { viewOf } from "./group-view.js";
import { KnownCalls } from "./known-calls.js";

const TARGETS: Readonly<Record<Exclude<State, "open">, readonly Target["end"][]>> = {
  completed: ["onComplete", "onEnd"],
  failed: ["onFailure", "onEnd"],
  timed_out: ["onTimeout", "onFailure", "onEnd"],
  cancelled: ["onEnd"],
};

/** What happens to the tasks of a generation, and when it ends. */
export class GroupRules {
  readonly known = new KnownCalls();
  /** Of all generations that ever were. */
  readonly deliveries: DeliveryModel[] = [];
  nowMs: number;
  readonly #isRequest: boolean;
  readonly #maxAttempts: number;
  #owed: Generation[] = [];

  constructor(options: { readonly isRequest: boolean; readonly maxAttempts: number; readonly nowMs: number }) {
    this.nowMs = options.nowMs;
    this.#isRequest = options.isRequest;
    this.#maxAttempts = options.maxAttempts;
  }

  /** An ack from before the registration: it counts, or is kept where its task may still be announced. */
  takeIn(generation: Generation, early: Early): void {
    const key = keyOf(early.task);
    const entry = generation.entries.get(key);
    if (generation.state !== "open") return;
    const isCounted = typeof generation.spec.tasks === "number";
    if (entry?.state === "open" || (isCounted && entry === undefined && leftOf(generation) > 0)) {
      this.settle(generation, early.task, early.op);
      const mayGrow = generation.spec.grows === true && (generation.state as State) === "open";
      if (early.next !== undefined && mayGrow) this.announce(generation, early.next);
    } else if (entry === undefined && generation.spec.grows === true) generation.early.set(key, early);
  }

  /** Announces tasks and what their early acks hand on to. Returns letters for the first ones. */
  announce(generation: Generation, first: readonly Task[]): string {
    const queue: (readonly Task[])[] = [first];
    let letters = "";
    for (const [i, tasks] of queue.entries()) {
      for (const task of tasks) {
        const letter = this.#announceOne(generation, task, queue);
        if (i === 0) letters += letter;
      }
    }
    return letters;
  }

  #announceOne(generation: Generation, task: Task, queue: (readonly Task[])[]): string {
    const key = keyOf(task);
    if (generation.entries.has(key)) return "d";
    generation.entries.set(key, { task: plain(task), state: "open", op: "" });
    if (task.stage !== undefined) {
      this.countsOf(generation, task.stage).total++;
      generation.hasStages = true;
    }
    const early = generation.early.get(key);
    if (early === undefined) return "n";
    generation.early.delete(key);
    if (generation.state === "open") {
      this.settle(generation, early.task, early.op);
      if (early.next !== undefined) queue.push(early.next);
    }
    return "e";
  }

  countsOf(generation: Generation, stage: string): Counts {
    const counts = generation.stages.get(stage) ?? noCounts();
    generation.stages.set(stage, counts);
    return counts;
  }

  settle(generation: Generation, task: TaskDone, op: string): void {
    const key = keyOf(task);
    const isFailure = task.error !== undefined;
    const entry = { task: plain(task), state: isFailure ? "failed" : "succeeded", op } as const;
    const failure: Failure | undefined =
      task.error === undefined ? undefined : { task, stage: task.stage, message: task.error, isGone: false };
    if (failure !== undefined) generation.failures.push(failure);
    else if (task.result !== undefined) generation.results.push({ task: plain(task), result: task.result });
    const before = generation.entries.get(key);
    if (before === undefined) generation.entries.set(key, { ...entry, ...(failure && { error: failure }) });
    else Object.assign(before, entry, failure && { error: failure });
    if (task.stage !== undefined) {
      const counts = this.countsOf(generation, task.stage);
      counts.processed += task.processed ?? 0;
      counts[isFailure ? "failed" : "succeeded"]++;
      if (isFailure) counts.errors++;
    }
    this.known.add(op, key);
    this.decide(generation, false, key);
  }

  /** `isCallOver`: the call's tasks and their `next` are counted, so that the limits in percent hold too. */
  decide(generation: Generation, isCallOver: boolean, endedBy: string | undefined): void {
    const reason = generation.state === "open" ? reasonToEnd(generation, isCallOver) : undefined;
    if (reason === undefined) return;
    generation.completionReason = reason;
    this.end(generation, reason === "failure_tolerance_exceeded" ? "failed" : "completed", { endedBy });
  }

  /** `atMs`: when a timer has ended it. */
  end(
    generation: Generation,
    state: Exclude<State, "open">,
    { endedBy, atMs = this.nowMs }: { readonly endedBy?: string | undefined; readonly atMs?: number } = {},
  ): void {
    generation.state = state;
    generation.endedBy = endedBy;
    generation.endedAtMs = atMs;
    generation.queuedAtMs = atMs;
    this.#owed.push(generation);
  }

  /** The step is over: an end's delivery carries the status of this instant. */
  finish(): void {
    for (const generation of this.#owed.splice(0)) {
      const { spec, state, endedAtMs } = generation;
      const isMeant =
        spec.target !== undefined &&
        state !== "open" &&
        (TARGETS[state].includes(spec.target.end) ||
          (spec.target.end === "onSuccess" && state === "completed" && countOf(generation, "failed") === 0));
      if (spec.target === undefined || !isMeant) continue;
      const type = `${this.#isRequest ? "request" : "group"}.${state}`;
      const end = { maxAttempts: this.#maxAttempts, nowMs: endedAtMs, type, snapshot: viewOf(generation) };
      generation.delivery = new DeliveryModel(spec.target, end);
      this.deliveries.push(generation.delivery);
    }
  }
}

/** A task without what an ack brings. */
const plain = ({ stage, id }: Task): Task => (stage === undefined ? { id } : { stage, id });

/** Why the counts end an open group: the first reason, in the order of the rules. */
function reasonToEnd(generation: Generation, isCallOver: boolean): string | undefined {
  const { toleratedFailureCount, toleratedFailurePpm, minSuccessful } = generation.spec.policy ?? {};
  const [succeeded, failed] = [countOf(generation, "succeeded"), countOf(generation, "failed")];
  const left = totalOf(generation) - succeeded - failed;
  const isFinal = isCallOver && (generation.spec.grows !== true || (generation.isSealed && left <= 0));
  const tolerated = [
    toleratedFailureCount === undefined || failed <= toleratedFailureCount,
    !isFinal || toleratedFailurePpm === undefined || failed * 1e6 <= toleratedFailurePpm * totalOf(generation),
  ];
  if (tolerated.includes(false)) return "failure_tolerance_exceeded";
  if (minSuccessful !== undefined && succeeded >= minSuccessful) return "min_successful_reached";
  if (isFinal && minSuccessful !== undefined && succeeded + left < minSuccessful) return "failure_tolerance_exceeded";
  return isCallOver && isSealed(generation) && left <= 0 ? "all_completed" : undefined;
}
