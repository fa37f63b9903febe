import { expect } from "vitest";
import { Random } from "../../dev/random.js";
import { CompletionTracker, CoordinationError, type GroupStatus, RequestWaitTracker } from "../../src/index.js";
import { SkewedCoordinator } from "../backends/upstash/support.js";
import type { FailoverRedis } from "../support/failover-redis.js";
import { Restarts } from "./failover-restarts.js";

/** What one failover did, for the figures. */
export interface RoundReport {
  readonly groups: number;
  /** Acks that were accepted twice: the first time by the server that is gone. */
  readonly lostAcks: number;
  readonly lostRegistrations: number;
  readonly lostRestarts: number;
  readonly lostMarks: number;
  /** Deliveries that came again, under the id that they had. */
  readonly repeats: number;
}

interface Delivery {
  readonly deliveryId: string;
  readonly type: string;
  readonly status: GroupStatus;
}

/** One group and its whole history, on both servers. */
interface Group {
  readonly id: string;
  readonly tasks: readonly string[];
  /** The one task whose worker says nothing until all else is checked. */
  readonly held: string | undefined;
  /** Tasks whose acks were ever sent, and those that were ever told that they count. */
  readonly sent: Set<string>;
  readonly counted: Set<string>;
  readonly deliveries: Delivery[];
  /** The failover took its registration back. */
  isLost: boolean;
}

const GROUPS = 16;
/** So many of them are registered while the others' tasks are acked already. */
const LATE_GROUPS = 5;
const FETCHES = Array.from({ length: 8 }, (_, i) => `fetch-${i}`);
const LANES = 4;
const WAIT_MS = 60_000;
const LEASES_OVER_MS = 60_000;
const MAX_SKEW_MS = 1_500;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A failover in the middle of work, the work's repair, and what must be true all the while. A seed draws the plan. */
export class FailoverRound {
  readonly #redis: FailoverRedis;
  readonly #random: Random;
  readonly #coordinator: SkewedCoordinator;
  readonly #tracker: CompletionTracker;
  readonly #requests: RequestWaitTracker<"fetch">;
  readonly #groups: Group[];
  readonly #restarts: Restarts;
  readonly #violations: string[] = [];
  readonly #marked = new Set<string>();
  #lostMarks = 0;
  #lostAcks = 0;

  constructor(redis: FailoverRedis, token: string, seed: number) {
    this.#redis = redis;
    this.#random = new Random(seed);
    const keyPrefix = `round-${seed}:`;
    this.#coordinator = new SkewedCoordinator({ url: redis.url, token, keyPrefix, keyLocking: false });
    this.#tracker = new CompletionTracker(this.#coordinator, {
      handlers: { finish: (event) => this.#receive(event) },
    });
    this.#requests = new RequestWaitTracker(this.#coordinator, { stages: ["fetch"] });
    this.#restarts = new Restarts(this.#tracker);
    this.#groups = Array.from({ length: GROUPS }, (_, i) => this.#makeGroup(i));
  }

  async run(): Promise<RoundReport> {
    await this.#redis.replicate();
    for (const group of this.#groups.slice(LATE_GROUPS)) await this.#register(group);
    await this.#tracker.register("deadline", ["a", "b"], {
      timeoutSec: this.#draw(50, 600) / 1000,
      onEnd: { handler: "finish" },
    });
    await this.#restarts.begin();
    await this.#announce("request");
    await this.#redis.settle();

    const stop = this.#drainOn();
    const waits = this.#groups.map((group) => this.#wait(group));
    const counts = this.#requests.wait("request", { timeoutMs: WAIT_MS });
    const work = this.#work();
    await pause(this.#draw(10, 200));
    this.#redis.cut();
    await pause(this.#draw(20, 200));
    await this.#redis.failOver();
    // The clocks of two servers differ.
    this.#coordinator.skewMs = this.#draw(-MAX_SKEW_MS, MAX_SKEW_MS);
    await work;

    await this.#repair();
    expect(await counts).toMatchObject({
      state: "complete",
      stages: { fetch: { processed: FETCHES.length, errorCount: 0 } },
    });
    // Leases of attempts that the standby does not know to be over.
    this.#coordinator.skewMs += LEASES_OVER_MS;
    await this.#check();
    for (const wait of await Promise.all(waits)) expect(wait).toMatchObject({ state: "completed", ok: true });
    await stop();
    expect(this.#violations).toEqual([]);
    return this.#report();
  }

  #makeGroup(i: number): Group {
    const tasks = Array.from({ length: this.#draw(1, 5) }, (_, n) => `task-${n}`);
    return {
      id: `g${i}`,
      tasks,
      held: i % 4 === 3 ? tasks[0] : undefined,
      sent: new Set(),
      counted: new Set(),
      deliveries: [],
      isLost: false,
    };
  }

  /** Acks, marks, registrations and a restart, in a drawn order, several at a time; what fails is left as it is. */
  async #work(): Promise<void> {
    const jobs = this.#random.shuffle([
      ...this.#groups.flatMap((group) => openTasks(group).map((task) => () => this.#ack(group, task))),
      ...this.#groups.slice(0, LATE_GROUPS).map((group) => () => this.#register(group)),
      ...FETCHES.map((task) => () => this.#mark(task)),
      () => this.#restarts.restart(),
      () => this.#tracker.ack("deadline", "a"),
    ]);
    const lane = async (): Promise<void> => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        await pause(this.#draw(0, 30));
        await job().catch(passing);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  /** What owners and workers do after an outage: they do all of it again. */
  async #repair(): Promise<void> {
    for (const group of this.#groups) {
      group.isLost = (await patiently(() => this.#tracker.status(group.id))) === null;
    }
    const steps = this.#groups.flatMap((group) => [
      () => this.#register(group),
      ...openTasks(group).map((task) => () => this.#ack(group, task)),
    ]);
    for (const step of this.#random.shuffle(steps)) await patiently(step);
    await this.#restarts.repair(this.#coordinator.skewMs);
    await patiently(() => this.#announce("request"));
    for (const task of FETCHES) await patiently(() => this.#mark(task));
  }

  async #check(): Promise<void> {
    const settled = this.#groups.filter(({ held }) => held === undefined);
    const open = this.#groups.filter(({ held }) => held !== undefined);
    for (const { id } of [...settled, { id: "deadline" }, { id: this.#restarts.id }]) await this.#delivered(id);
    expect(await this.#tracker.status("deadline")).toMatchObject({ state: "timed_out" });
    for (const { id, deliveries } of open) {
      expect(await this.#tracker.status(id)).toMatchObject({ state: "open", remaining: 1 });
      expect(deliveries).toEqual([]);
    }
    for (const group of open) await this.#ack(group, group.held ?? "");
    for (const { id } of open) await this.#delivered(id);
    for (const group of this.#groups) {
      expect(group.deliveries.length).toBeGreaterThan(0);
      // Under one id, unless the registration was lost that had made it.
      expect(idsOf(group).size).toBeLessThanOrEqual(group.isLost ? 2 : 1);
    }
  }

  async #delivered(id: string): Promise<void> {
    const delivery = { state: "delivered" };
    await expect.poll(() => this.#tracker.status(id), { interval: 20 }).toMatchObject({ delivery });
  }

  /** The receiver. */
  async #receive({ deliveryId, type, status }: Delivery): Promise<void> {
    await pause(this.#draw(0, 20));
    if (status.groupId === this.#restarts.id && !this.#restarts.mayEnd(status)) {
      this.#violations.push(`${type}: generation ${status.generation} of ${status.groupId} has ended`);
    }
    const group = this.#groups.find(({ id }) => id === status.groupId);
    if (group === undefined) return;
    group.deliveries.push({ deliveryId, type, status });
    this.#mustBeDone(group, status, type);
  }

  async #wait(group: Group): Promise<GroupStatus> {
    const status = await this.#tracker.wait(group.id, { timeoutMs: WAIT_MS });
    if (status === null) throw new Error("a wait ended with an unknown group");
    this.#mustBeDone(group, status, "a wait");
    return status;
  }

  #mustBeDone({ id, tasks, sent }: Group, { state, succeeded }: GroupStatus, what: string): void {
    const missing = tasks.filter((task) => !sent.has(task));
    if (state === "completed" && missing.length === 0 && succeeded === tasks.length) return;
    this.#violations.push(`${what}: ${id} is ${state} with ${succeeded} of ${tasks.length}, ${missing} never acked`);
  }

  async #register(group: Group): Promise<void> {
    await this.#tracker.register(group.id, group.tasks, { onComplete: { handler: "finish" } });
  }

  async #ack({ id, sent, counted }: Group, task: string): Promise<void> {
    sent.add(task);
    const { verdict } = await this.#tracker.ack(id, task);
    if (verdict !== "accepted" && verdict !== "early") return;
    if (verdict === "accepted" && counted.has(task)) this.#lostAcks++;
    counted.add(task);
  }

  async #announce(id: string): Promise<void> {
    await this.#requests.register(id);
    // In one call: either all of them are lost, or none.
    await this.#requests.add(id, "fetch", FETCHES);
  }

  async #mark(task: string): Promise<void> {
    const { verdict } = await this.#requests.ack("request", "fetch", task);
    if (verdict !== "accepted") return;
    if (this.#marked.has(task)) this.#lostMarks++;
    this.#marked.add(task);
  }

  /** Drains until told to stop. */
  #drainOn(): () => Promise<void> {
    let isOn = true;
    const loop = (async () => {
      while (isOn) {
        await this.#coordinator.drain().catch(passing);
        await pause(25);
      }
    })();
    return async () => {
      isOn = false;
      await loop;
      this.#tracker.close();
    };
  }

  #report(): RoundReport {
    const repeats = this.#groups.map((group) => group.deliveries.length - idsOf(group).size);
    return {
      groups: this.#groups.length,
      lostAcks: this.#lostAcks,
      lostRegistrations: this.#groups.filter(({ isLost }) => isLost).length,
      lostRestarts: this.#restarts.lost,
      lostMarks: this.#lostMarks,
      repeats: repeats.reduce((sum, n) => sum + n, 0),
    };
  }

  /** A whole number, both ends included. */
  #draw(from: number, to: number): number {
    return from + Math.floor(this.#random.next() * (to - from + 1));
  }
}

function openTasks({ tasks, held }: Group): string[] {
  return tasks.filter((task) => task !== held);
}

function idsOf({ deliveries }: Group): Set<string> {
  return new Set(deliveries.map(({ deliveryId }) => deliveryId));
}

/** What an outage is allowed to do to a call. */
function passing(error: unknown): void {
  if (!(error instanceof CoordinationError) || !error.retryable) throw error;
}

async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      passing(error);
      await pause(20);
    }
  }
}
