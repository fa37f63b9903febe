import { expect } from "vitest";
import type { Random } from "../../dev/random.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker } from "../../src/index.js";
import type { KillableWorker } from "../support/killable-worker.js";
import { patientFetch } from "../support/patient-fetch.js";
import { type Arrival, type KillingReceiver, MOMENTS } from "./killing-receiver.js";

/** One group, and what its owner and its workers were told. */
interface Group {
  readonly id: string;
  /** Their ids; of an anonymous group, those of the calls that count them. */
  readonly tasks: readonly string[];
  readonly isAnonymous: boolean;
  readonly isWebhook: boolean;
  /** Its last task says nothing before the storm is over. */
  readonly isHeld: boolean;
  /** How often an ack was told that it counted, and that it ended the group. */
  accepted: number;
  ended: number;
  lastSentAtMs: number;
  /** A kill came after its last ack was sent, and before its delivery was over. */
  isHit: boolean;
}

/** What the storm did, for the figures. */
export interface StormReport {
  readonly groups: number;
  readonly hit: number;
  /** Deliveries that came, whole or not, and the distinct ids among them. */
  readonly arrivals: number;
  readonly effects: number;
}

const BATCH = 12;
const HELD_EVERY = 12;
/** Of acks, that another call sends them too; of kills, that another one follows the restart. */
const TWICE = 0.2;
const AGAIN = 0.3;
const NOBODY_CAME_MS = 1_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Groups by the dozen, whose ends are delivered from a Worker that is killed in each batch: at a moment of a delivery, some
 * milliseconds after the last acks, in the middle of acks or registrations, and now and then again as soon as it is back.
 */
export class KillStorm {
  readonly #worker: KillableWorker;
  readonly #receiver: KillingReceiver;
  readonly #random: Random;
  readonly #tracker: CompletionTracker;
  readonly #groups: Group[] = [];
  readonly #killsAtMs: number[] = [];

  constructor(worker: KillableWorker, receiver: KillingReceiver, options: { token: string; random: Random }) {
    this.#worker = worker;
    this.#receiver = receiver;
    this.#random = options.random;
    const coordinator = new HttpCoordinator({ url: worker.url, token: options.token, fetch: patientFetch });
    this.#tracker = new CompletionTracker(coordinator);
  }

  /** Goes on until so many groups had a kill in the way of their delivery; then all must be well. */
  async run(rounds: number): Promise<StormReport> {
    while (this.#groups.filter(({ isHit }) => isHit).length < rounds) await this.#batch();
    await this.#endHeld();
    for (const group of this.#groups) await this.#check(group);
    const { arrivals } = this.#receiver;
    return {
      groups: this.#groups.length,
      hit: this.#groups.filter(({ isHit }) => isHit).length,
      arrivals: arrivals.length,
      effects: new Set(arrivals.filter(({ text }) => text !== undefined).map(({ deliveryId }) => deliveryId)).size,
    };
  }

  /** One batch, and a kill somewhere in it, or two. */
  async #batch(): Promise<void> {
    let kill = (): void => {};
    const killed = new Promise<void>((resolve) => {
      kill = () => void this.#kill().then(resolve);
    });
    const work = this.#work(kill);
    await Promise.race([killed, work.then(() => pause(NOBODY_CAME_MS))]);
    this.#receiver.arm();
    kill();
    await killed;
    await this.#worker.restart();
    if (this.#random.chance(AGAIN)) {
      await pause(this.#draw(60));
      await this.#kill();
      await this.#worker.restart();
    }
    await work;
  }

  /** Registrations, all acks but the last ones, the last ones; each call is sent again until it finds a server. */
  async #work(kill: () => void): Promise<void> {
    const groups = Array.from({ length: BATCH }, () => this.#makeGroup());
    const plan = this.#random.next();
    if (plan < 0.1) setTimeout(kill, this.#draw(40));
    await Promise.all(groups.map((group) => this.#register(group)));
    if (plan >= 0.1 && plan < 0.2) setTimeout(kill, this.#draw(40));
    await Promise.all(groups.flatMap((group) => group.tasks.slice(0, -1).map((task) => this.#ack(group, task))));
    if (plan >= 0.2 && plan < 0.5) setTimeout(kill, this.#draw(50));
    if (plan >= 0.5) this.#receiver.arm(MOMENTS[Math.floor(this.#draw(MOMENTS.length))], kill);
    await Promise.all(groups.filter(({ isHeld }) => !isHeld).map((group) => this.#ackLast(group)));
  }

  /** kill -9; whose delivery was not answered yet, is hit. */
  #kill(): Promise<void> {
    for (const group of this.#groups) {
      if (group.lastSentAtMs > 0 && !this.#receiver.answered.has(group.id)) group.isHit = true;
    }
    this.#killsAtMs.push(performance.now());
    return this.#worker.kill();
  }

  #makeGroup(): Group {
    const n = this.#groups.length;
    const group: Group = {
      id: `g${n}`,
      tasks: Array.from({ length: 1 + Math.floor(this.#draw(4)) }, (_, i) => `task-${i}`),
      isAnonymous: n % 4 >= 2,
      isWebhook: n % 2 === 1,
      isHeld: n % HELD_EVERY === 0,
      accepted: 0,
      ended: 0,
      lastSentAtMs: 0,
      isHit: false,
    };
    this.#groups.push(group);
    return group;
  }

  async #register({ id, tasks, isAnonymous, isWebhook }: Group): Promise<void> {
    const { port } = this.#receiver;
    const onEnd = isWebhook ? { url: `http://127.0.0.1:${port}/` } : { handler: "publish", payload: { id } };
    const metadata = "m".repeat(2_000);
    await this.#tracker.register(id, isAnonymous ? tasks.length : tasks, { onEnd, metadata });
  }

  async #ackLast(group: Group): Promise<void> {
    group.lastSentAtMs = performance.now();
    await this.#ack(group, group.tasks.at(-1) ?? "");
  }

  async #ack(group: Group, task: string): Promise<void> {
    const calls = this.#random.chance(TWICE) ? 2 : 1;
    await Promise.all(Array.from({ length: calls }, () => this.#ackOnce(group, task)));
  }

  async #ackOnce(group: Group, task: string): Promise<void> {
    if (group.isAnonymous) {
      await this.#tracker.decrement(group.id, 1, { opId: task });
      return;
    }
    const { verdict, ended } = await this.#tracker.ack(group.id, task);
    if (verdict === "accepted") group.accepted++;
    else expect(verdict).toBe("duplicate");
    if (ended) group.ended++;
  }

  /** Groups that wait for one ack yet are open, and nothing was sent for them; then that ack comes. */
  async #endHeld(): Promise<void> {
    for (const group of this.#groups.filter(({ isHeld }) => isHeld)) {
      expect(await this.#tracker.status(group.id)).toMatchObject({ state: "open", remaining: 1 });
      expect(this.#arrivalsOf(group)).toEqual([]);
      await this.#ackLast(group);
    }
  }

  async #check(group: Group): Promise<void> {
    const { id, tasks, isAnonymous, isWebhook, lastSentAtMs } = group;
    const counts = { succeeded: tasks.length, failed: 0, remaining: 0 };
    const settled = { state: "completed", ...counts, delivery: { state: "delivered" } };
    await expect.poll(() => this.#tracker.status(id), { interval: 100 }).toMatchObject(settled);
    const { deliveryId, attempts = 0 } = (await this.#tracker.status(id))?.delivery ?? {};
    const whole = this.#arrivalsOf(group);
    const all = this.#receiver.arrivals.filter((arrival) => arrival.deliveryId === deliveryId);
    expect(new Set(whole.map((arrival) => arrival.deliveryId))).toEqual(new Set([deliveryId]));
    expect(new Set(whole.map(({ text }) => text)).size, `what was delivered for ${id}`).toBe(1);
    expect(Math.min(...all.map(({ atMs }) => atMs))).toBeGreaterThanOrEqual(lastSentAtMs);
    // An attempt is stored before it is made: none is made twice.
    expect(all.length).toBeLessThanOrEqual(attempts);
    const tried = all.map(({ attempt }) => attempt);
    if (!isWebhook) expect(tried).toEqual([...new Set(tried)]);
    if (!isAnonymous) expect([id, group.accepted, group.ended]).toEqual([id, tasks.length, 1]);
    const lastAtMs = Math.max(...all.map(({ atMs }) => atMs));
    group.isHit = this.#killsAtMs.some((atMs) => lastSentAtMs <= atMs && atMs <= lastAtMs);
  }

  #arrivalsOf({ id }: Group): Arrival[] {
    return this.#receiver.arrivals.filter(({ groupId }) => groupId === id);
  }

  #draw(below: number): number {
    return this.#random.next() * below;
  }
}
