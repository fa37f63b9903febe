import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Consumer, type Delivery, Queue } from "../../demo/queue.js";

/** Remembers what it was handed, and settles nothing by itself. */
class Hands implements Consumer<string> {
  readonly deliveries: Delivery<string>[] = [];
  constructor(readonly capacity = 10) {}

  hand(delivery: Delivery<string>): void {
    this.deliveries.push(delivery);
  }

  get bodies(): string[] {
    return this.deliveries.map(({ body }) => body);
  }

  receipt(i: number): number {
    return this.deliveries[i]?.receipt ?? 0;
  }
}

const once = { visibilityMs: 1_000, comesTwice: () => false };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the queue", () => {
  it("hands messages over in order, no more at once than a consumer can hold", () => {
    const queue = new Queue<string>(once);
    const hands = new Hands(2);
    queue.attach(hands);
    queue.send("a", "b", "c");
    expect(hands.bodies).toEqual(["a", "b"]);
    queue.settle(hands.receipt(0));
    expect(hands.bodies).toEqual(["a", "b", "c"]);
  });

  it("is idle when everything is settled, and not before", () => {
    const queue = new Queue<string>(once);
    const hands = new Hands();
    queue.send("a");
    expect(queue.isIdle).toBe(false);
    queue.attach(hands);
    expect(queue.isIdle).toBe(false);
    queue.settle(hands.receipt(0));
    expect(queue.isIdle).toBe(true);
  });

  it("hands a message over again when it was not settled in time", () => {
    const queue = new Queue<string>(once);
    const hands = new Hands();
    queue.attach(hands);
    queue.send("a");
    vi.advanceTimersByTime(1_000);
    expect(hands.bodies).toEqual(["a", "a"]);
    expect(queue.redelivered).toBe(1);
  });

  it("takes no settlement for a hand-over that is over", () => {
    const queue = new Queue<string>(once);
    const hands = new Hands();
    queue.attach(hands);
    queue.send("a");
    vi.advanceTimersByTime(1_000);
    queue.settle(hands.receipt(0));
    expect(queue.isIdle).toBe(false);
    queue.settle(hands.receipt(1));
    expect(queue.isIdle).toBe(true);
  });

  it("gives what a lost consumer had in hand to others", () => {
    const queue = new Queue<string>(once);
    const [lost, other] = [new Hands(3), new Hands(3)];
    queue.attach(lost);
    queue.send("a", "b", "c");
    queue.settle(lost.receipt(1));
    expect(queue.detach(lost)).toBe(2);
    queue.attach(other);
    expect(other.bodies.sort()).toEqual(["a", "c"]);
    expect(lost.bodies).toEqual(["a", "b", "c"]);
  });

  it("sends twice what comes twice", () => {
    const queue = new Queue<string>({ ...once, comesTwice: () => true });
    const hands = new Hands();
    queue.attach(hands);
    queue.send("a");
    expect(hands.bodies).toEqual(["a", "a"]);
    expect(queue.copies).toBe(1);
  });

  it("sends each message to the consumer with the fewest messages in hand", () => {
    const queue = new Queue<string>(once);
    const [left, right] = [new Hands(), new Hands()];
    queue.attach(left);
    queue.attach(right);
    queue.send("a", "b", "c", "d");
    expect([left.bodies, right.bodies]).toEqual([
      ["a", "c"],
      ["b", "d"],
    ]);
  });

  it("says nothing more once it is closed", () => {
    const queue = new Queue<string>(once);
    const hands = new Hands();
    queue.attach(hands);
    queue.send("a");
    queue.close();
    vi.advanceTimersByTime(10_000);
    queue.send("b");
    expect(hands.bodies).toEqual(["a"]);
  });
});
