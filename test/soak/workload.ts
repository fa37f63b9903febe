import type { Coordinator } from "../../src/coordinator.js";
import type { HandlerEvent } from "../../src/delivery/handler.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";

const TASKS = 100;
/** One group in so many has a task that no worker does: it ends at its deadline. */
const LATE_EVERY = 10;
/** Of so many groups one is what an HTTP request waits for. */
export const REQUEST_EVERY = 5;
const WAIT_MS = 600_000;

/** How the groups of a soak are made, and which targets receive their ends. */
export interface SoakOptions {
  /** How many tasks one call acks; at most 100. */
  readonly batch: number;
  /** The deadline of those that do not finish. */
  readonly lateSec: number;
  readonly ttlSec: number;
  /** The handler's name. */
  readonly handler: string;
}

/** `acks` over groups of a hundred tasks, in four quarters. */
export function groupsOf(acks: number): { readonly groups: number; readonly perQuarter: number } {
  const perQuarter = Math.ceil(acks / TASKS / 4);
  return { groups: perQuarter * 4, perQuarter };
}

/**
 * Groups from their registration to their end, each with a waiter, an ack that comes twice, and a durable callback. It keeps
 * nothing of a group that is over, so that what grows is the library's.
 */
export class Soak {
  readonly #options: SoakOptions;
  readonly #undelivered = new Set<string>();
  readonly #waits = new Set<Promise<unknown>>();
  /** Acks that counted. */
  acks = 0;
  duplicates = 0;
  completed = 0;
  timedOut = 0;
  /** Requests that were told of their work. */
  answered = 0;
  /** Callbacks of a group that had had its own. */
  doubled = 0;
  #made = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
  }

  get counts() {
    const { acks, duplicates, completed, timedOut, answered, doubled, unfinished } = this;
    return { acks, duplicates, completed, timedOut, answered, doubled, unfinished };
  }

  get groups(): number {
    return this.#made;
  }

  /** Groups whose end was not told yet, to the callback or to the waiter. */
  get unfinished(): number {
    return this.#undelivered.size + this.#waits.size;
  }

  /** What every count is when each group has ended as it must, once, and every target and waiter has its end. */
  static whole(groups: number) {
    const timedOut = Math.ceil(groups / LATE_EVERY);
    return {
      acks: groups * TASKS,
      duplicates: groups,
      completed: groups - timedOut,
      timedOut,
      answered: Math.ceil(groups / REQUEST_EVERY),
      doubled: 0,
      unfinished: 0,
    };
  }

  delivered({ status }: HandlerEvent): void {
    if (!this.#undelivered.delete(status.groupId)) this.doubled++;
  }

  /** Begins `count` groups side by side; resolves when all their acks are in. */
  async round(coordinator: Coordinator, count: number): Promise<void> {
    const tracker = new CompletionTracker<Record<string, null>>(coordinator);
    const { ttlSec } = this.#options;
    const requests = new RequestWaitTracker(coordinator, { stages: ["work"], ttlSec });
    const begin = async (n: number): Promise<void> => {
      if (n % REQUEST_EVERY === 0) await this.#request(requests, `request-${n}`, () => this.#group(tracker, n));
      else await this.#group(tracker, n);
    };
    await Promise.all(Array.from({ length: count }, () => begin(this.#made++)));
  }

  async #request(requests: RequestWaitTracker<"work">, id: string, work: () => Promise<void>): Promise<void> {
    await requests.register(id);
    await requests.add(id, "work", "group");
    const wait = requests.wait(id, { timeoutMs: WAIT_MS });
    await requests.count(id, "work", { error: "a passing failure" });
    await work();
    await requests.ack(id, "work", "group");
    const end = await wait;
    if (end?.stages.work.processed === 1 && end.stages.work.errorCount === 1) this.answered++;
  }

  async #group(tracker: CompletionTracker<Record<string, null>>, n: number): Promise<void> {
    const { batch, lateSec, ttlSec, handler } = this.#options;
    const [id, isLate] = [`group-${n}`, n % LATE_EVERY === 0];
    const tasks = Array.from({ length: TASKS }, (_, i) => `task-${i}`);
    this.#undelivered.add(id);
    await tracker.register(id, isLate ? [...tasks, "never"] : tasks, {
      onEnd: { handler, payload: null },
      timeoutSec: isLate ? lateSec : 0,
      ttlSec,
    });
    this.#wait(tracker, id);
    for (let from = 0; from < TASKS; from += batch) await this.#ack(tracker, id, tasks.slice(from, from + batch));
    await this.#ack(tracker, id, tasks.slice(0, 1));
  }

  async #ack(tracker: CompletionTracker<Record<string, null>>, id: string, tasks: readonly string[]): Promise<void> {
    for (const { verdict } of await tracker.ack(id, tasks)) {
      if (verdict === "accepted") this.acks++;
      else if (verdict === "duplicate") this.duplicates++;
    }
  }

  #wait(tracker: CompletionTracker<Record<string, null>>, id: string): void {
    const wait = tracker.wait(id, { timeoutMs: WAIT_MS }).then((status) => {
      if (status?.state === "completed") this.completed++;
      else if (status?.state === "timed_out") this.timedOut++;
      this.#waits.delete(wait);
    });
    this.#waits.add(wait);
  }
}
