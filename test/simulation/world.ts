import { seededRandom } from "../../src/testing/index.js";
import { Violation } from "./violation.js";

/** What a process waits for: time, or an answer. */
export type Waiting = { readonly sleepMs: number } | { readonly call: (resume: (answer: unknown) => void) => void };

/** A process of an instance: it gives up its turn at every `yield`, and there alone can its instance die. */
export type Process = Generator<Waiting, void, never>;

/** A function instance: what it was about to do when it dies is never done. */
export interface Instance {
  readonly name: string;
  life: number;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A run has some hundreds. */
const MAX_EVENTS = 100_000;

/** Time, chance and order of events: all that a run depends on, and all from one seed. */
export class World {
  nowMs: number;
  readonly seed: number;
  readonly random: () => number;
  readonly #said: { readonly atMs: number; readonly line: () => string }[] = [];
  readonly #startMs: number;
  readonly #events: Event[] = [];
  #order = 0;

  constructor(seed: number, startMs: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.#startMs = startMs;
    this.nowMs = startMs;
  }

  /** A whole number from 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  chance(p: number): boolean {
    return this.random() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Keeps a line for the trace, which is written only when a reader asks for it. */
  say(line: () => string): void {
    this.#said.push({ atMs: this.nowMs, line });
  }

  trace(): string[] {
    return this.#said.map(({ atMs, line }) => `+${String(atMs - this.#startMs).padStart(7)} ms  ${line()}`);
  }

  after(ms: number, run: () => void): void {
    const event = { atMs: this.nowMs + ms, order: this.#order++, run };
    // A binary heap by time, then by order.
    const heap = this.#events;
    heap.push(event);
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i] as Event, heap[parent] as Event)) break;
      swap(heap, i, parent);
      i = parent;
    }
  }

  /** Runs events until none is left, or the time is over. @throws {Violation} when there is no end to them. */
  run(untilMs: number): void {
    for (let events = 0; ; events++) {
      if (events > MAX_EVENTS) throw new Violation("the run has no end");
      const next = this.#events[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }

  spawn(instance: Instance, process: Process): void {
    const { life } = instance;
    const resume = (answer?: unknown): void => {
      if (instance.life !== life) return;
      const { done, value } = process.next(answer as never);
      if (done) return;
      if ("sleepMs" in value) this.after(value.sleepMs, resume);
      else value.call(resume);
    };
    resume();
  }

  kill(instance: Instance): void {
    instance.life++;
    this.say(() => `${instance.name} dies`);
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && isBefore(heap[child] as Event, heap[least] as Event)) least = child;
      }
      if (least === i) return;
      swap(heap, i, least);
      i = least;
    }
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;
}

function swap(heap: Event[], i: number, j: number): void {
  [heap[i], heap[j]] = [heap[j] as Event, heap[i] as Event];
}
