import { describe, expect, it } from "vitest";
import { fails, usePolling } from "./bench.js";
import { PollingCoalesce } from "./coalesce.js";
import { PollingDedupe } from "./dedupe.js";
import { PollingStats } from "./stats.js";

const { redis, id, connect, exists, lapse } = usePolling();

/** A queue that refuses the next message as often as it is told to. */
class Queue {
  readonly messages: number[] = [];
  refuses = 0;

  send(message: number): void {
    if (this.refuses > 0) {
      this.refuses--;
      throw new Error("the queue is full");
    }
    this.messages.push(message);
  }
}

describe("polling design, small things where nothing goes wrong", () => {
  it("adds counts up, takes them once, and leaves nothing of them", async () => {
    const stats = new PollingStats(connect(), id("stats"));
    await stats.merge("request", { processed: 3 });
    await stats.merge("request", { processed: 1, errorCount: 2 });
    expect(await stats.consume("request")).toEqual({ processed: 4, errorCount: 2 });
    expect(await stats.consume("request")).toBeNull();
  });

  it("gives a claim to one of two, and makes older versions stale", async () => {
    const [dedupe, versions, key] = [new PollingDedupe(connect()), new PollingCoalesce(connect()), id("key")];
    expect([await dedupe.claim(key), await dedupe.claim(key)]).toEqual([true, false]);
    expect([await versions.next(key), await versions.next(key)]).toEqual([1, 2]);
    expect([await versions.isStale(1, key), await versions.isStale(2, key)]).toEqual([true, false]);
    expect(await redis.ttl(PollingCoalesce.keyOf(key))).toBeGreaterThan(3_500);
  });
});

describe("polling design", () => {
  it("fault 14: a crash between the increment and its EXPIRE leaves a key that never expires", async ({ task }) => {
    const key = id("key");
    await expect(new PollingCoalesce(connect({ at: "INCR", fault: "crash" })).next(key)).rejects.toThrow("gone");
    const stats = new PollingStats(connect({ at: "INCRBY", fault: "crash" }), key);
    await expect(stats.merge("request", { processed: 1 })).rejects.toThrow("gone");
    fails(task, 14, "a version and a count without TTL");
    for (const orphan of [PollingCoalesce.keyOf(key), stats.keysOf("request").processed]) {
      expect(await redis.ttl(orphan)).toBe(-1);
      await redis.del(orphan);
    }
  });

  it("fault 24: of two counters one is kept alive, and the recorded error reads as 0", async ({ task }) => {
    const stats = new PollingStats(connect(), id("stats"));
    const keys = stats.keysOf("request");
    await stats.merge("request", { errorCount: 1 });
    // Most of an hour later.
    await redis.expire(keys.errorCount, 10);
    await stats.merge("request", { processed: 1 });
    expect(await redis.ttl(keys.processed)).toBeGreaterThan(3_500);
    expect(await redis.ttl(keys.errorCount)).toBeLessThanOrEqual(10);
    await lapse(keys.errorCount);
    fails(task, 24, "a recorded error reads as 0");
    expect(await stats.consume("request")).toEqual({ processed: 1, errorCount: 0 });
  });

  it("fault 25: of six merges five that come during a consumption are lost", async ({ task }) => {
    const namespace = id("stats");
    const stats = new PollingStats(connect(), namespace);
    await stats.merge("request", { processed: 1 });
    const mergeFive = async () => {
      for (let i = 0; i < 5; i++) await stats.merge("request", { processed: 1 });
    };
    const consumer = new PollingStats(connect({ at: "DEL", before: mergeFive }), namespace);
    const taken = await consumer.consume("request");
    fails(task, 25, "5 of 6 merges lost");
    expect(taken?.processed).toBe(1);
    expect(await stats.consume("request")).toBeNull();
  });

  it("fault 25: two consumers get the same counts", async ({ task }) => {
    const namespace = id("stats");
    const stats = new PollingStats(connect(), namespace);
    await stats.merge("request", { processed: 3 });
    let other: unknown;
    const consumeToo = async () => {
      other = await stats.consume("request");
    };
    const consumer = new PollingStats(connect({ at: "DEL", before: consumeToo }), namespace);
    const taken = await consumer.consume("request");
    fails(task, 25, "two consumers get the same counts");
    expect([taken, other]).toEqual(Array(2).fill({ processed: 3, errorCount: 0 }));
  });

  it("fault 26: one id that is merged four times evicts another, with room for four", async ({ task }) => {
    const stats = new PollingStats(connect(), id("stats"), { maxTracked: 4 });
    await stats.merge("live", { processed: 7 });
    for (let i = 0; i < 3; i++) await stats.merge("busy", { processed: 1 });
    expect(await exists(stats.keysOf("live").processed)).toBe(true);
    await stats.merge("busy", { processed: 1 });
    fails(task, 26, "two ids, room for four: one is evicted");
    expect(await stats.consume("live")).toBeNull();
  });

  it("fault 27: a claim outlives its failed enqueue, and the retry is a duplicate of nothing", async ({ task }) => {
    const [dedupe, key, queue] = [new PollingDedupe(connect()), id("key"), new Queue()];
    const submit = async (message: number): Promise<string> => {
      if (!(await dedupe.claim(key))) return "deduplicated";
      queue.send(message);
      return "queued";
    };
    queue.refuses = 1;
    await expect(submit(1)).rejects.toThrow("full");
    fails(task, 27, "the retry is deduplicated, nothing is queued");
    expect(await submit(1)).toBe("deduplicated");
    expect(queue.messages).toEqual([]);
  });

  it("fault 28: a version whose enqueue fails makes the queued one stale, and both are lost", async ({ task }) => {
    const [versions, key, queue] = [new PollingCoalesce(connect()), id("key"), new Queue()];
    const submit = async () => queue.send(await versions.next(key));
    await submit();
    queue.refuses = 1;
    await expect(submit()).rejects.toThrow("full");
    const isStale = await Promise.all(queue.messages.map((version) => versions.isStale(version, key)));
    fails(task, 28, "all that is queued is stale");
    expect([queue.messages, isStale]).toEqual([[1], [true]]);
  });

  it("fault 29: an old message that is queued again outruns the newer one", async ({ task }) => {
    const [versions, key, queue] = [new PollingCoalesce(connect()), id("key"), new Queue()];
    const submit = async () => queue.send(await versions.next(key));
    // The old one is taken and fails, a newer one comes, and the old one is submitted again.
    await submit();
    queue.messages.shift();
    await submit();
    await submit();
    const isStale = await Promise.all(queue.messages.map((version) => versions.isStale(version, key)));
    fails(task, 29, "the retry makes the newer one stale");
    expect(isStale).toEqual([true, false]);
  });

  it("fault 29: after the TTL versions begin at 1 again, and an old message passes for the newest", async ({
    task,
  }) => {
    const [versions, key] = [new PollingCoalesce(connect()), id("key")];
    await versions.next(key);
    const old = await versions.next(key);
    await lapse(PollingCoalesce.keyOf(key));
    fails(task, 29, "after the TTL versions start again at 1");
    expect(await versions.next(key)).toBe(1);
    expect(await versions.isStale(old, key)).toBe(false);
  });

  it("fault 30: two accounts share a key", async ({ task }) => {
    const [dedupe, versions, tag] = [new PollingDedupe(connect()), new PollingCoalesce(connect()), id("key")];
    const [one, other] = [
      [`${tag}|b`, "c"],
      [tag, "b|c"],
    ];
    fails(task, 30, "a|b + c is a + b|c");
    expect([await dedupe.claim(...one), await dedupe.claim(...other)]).toEqual([true, false]);
    await versions.next(...one);
    expect(await versions.next(...other)).toBe(2);
  });
});
