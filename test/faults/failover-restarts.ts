import { expect } from "vitest";
import type { AckResult, CompletionTracker, GroupStatus } from "../../src/index.js";

const TASKS = ["a", "b", "c"];

/** A group that begins anew while a failover comes: its old generations' acks must never count in the one that stands. */
export class Restarts {
  readonly id = "restarted";
  readonly #tracker: CompletionTracker;
  readonly #generations: number[] = [];
  #lost = 0;
  #isDone = false;

  constructor(tracker: CompletionTracker) {
    this.#tracker = tracker;
  }

  /** How many restarts the failover took back. */
  get lost(): number {
    return this.#lost;
  }

  async begin(): Promise<void> {
    await this.#register();
    await this.#ack(["a"], this.#latest);
  }

  /** In the middle of the failover: it may be lost, or its answer. */
  async restart(): Promise<void> {
    await this.#register(this.#latest);
    await this.#ack(["a", "b"], this.#latest);
  }

  /** What the owner does when it is over; `skewMs`: by how much the new server's clock is ahead. */
  async repair(skewMs: number): Promise<void> {
    const known = [...this.#generations];
    const standing = await this.#tracker.status(this.id);
    expect(standing).toMatchObject({ state: "open" });
    const from = standing?.generation ?? 0;
    if (from < this.#latest) this.#lost++;
    await this.#register(from);
    expect(known).not.toContain(this.#latest);
    if (skewMs >= 0) expect(this.#latest).toBeGreaterThan(Math.max(from, ...known));
    // All that was ever sent comes again, from workers that know nothing of this.
    for (const generation of new Set([...known, from])) {
      const verdicts = (await this.#ack(TASKS, generation)).map(({ verdict }) => verdict);
      expect(verdicts).toEqual(TASKS.map(() => "unknown"));
    }
    expect(await this.#tracker.status(this.id)).toMatchObject({ state: "open", succeeded: 0, remaining: 3 });
    this.#isDone = true;
    await this.#ack(TASKS, this.#latest);
  }

  /** Whether this end may be delivered: only the last generation's tasks were ever all acked. */
  mayEnd({ generation }: GroupStatus): boolean {
    return this.#isDone && generation === this.#latest;
  }

  get #latest(): number {
    return this.#generations.at(-1) ?? 0;
  }

  async #register(from?: number): Promise<void> {
    const options = { onEnd: { handler: "finish" }, ...(from === undefined ? {} : { restart: { from } }) };
    const { generation } = await this.#tracker.register(this.id, TASKS, options);
    this.#generations.push(generation);
  }

  #ack(tasks: readonly string[], generation: number): Promise<AckResult[]> {
    return this.#tracker.ack(this.id, tasks, { generation });
  }
}
