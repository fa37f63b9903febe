import { describe, expect, it } from "vitest";
import { fails, usePolling } from "./bench.js";
import { PollingCompletion, type PollingCompletionOptions } from "./completion.js";
import type { Event } from "./interleaving.js";
import { PollingRequestWait } from "./request-wait.js";

const { redis, id, connect, exists } = usePolling();
const { counterKey, registrationKey } = PollingCompletion;

/** A process of its own, and what it called back. */
function start(options: PollingCompletionOptions = {}, ...events: Event[]) {
  const calls: string[] = [];
  const connection = connect(...events);
  const tracker = new PollingCompletion(connection, options);
  const callbacks = {
    onComplete: () => void calls.push("complete"),
    onTimeout: () => void calls.push("timeout"),
  };
  const register = (groupId: string, total: number) =>
    tracker.register(groupId, total, { ...callbacks, timeoutSec: 60 });
  const ack = async (groupId: string, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await tracker.ack(groupId);
  };
  return { tracker, connection, calls, callbacks, register, ack };
}

describe("polling design, where nothing goes wrong", () => {
  it("calls back once when every task is acked, and leaves nothing", async () => {
    const [{ tracker, calls, register }, group] = [start({ pollMs: 5 }), id("group")];
    await register(group, 3);
    tracker.start();
    const left = [await tracker.ack(group), await start().tracker.ack(group), await tracker.ack(group)];
    expect(left).toEqual([2, 1, 0]);
    await expect.poll(() => calls).toEqual(["complete"]);
    await expect.poll(() => tracker.owned).toBe(0);
    tracker.stop();
    expect([await exists(counterKey(group)), await exists(registrationKey(group))]).toEqual([false, false]);
  });

  it("calls back at the deadline, and of an unknown group it acks nothing", async () => {
    let nowMs = 0;
    const [{ tracker, calls, register }, group] = [start({ now: () => nowMs }), id("group")];
    await register(group, 2);
    await tracker.ack(group);
    await tracker.tick();
    expect(calls).toEqual([]);
    nowMs = 60_000;
    await tracker.tick();
    expect(calls).toEqual(["timeout"]);
    expect(await tracker.ack(group)).toBeNull();
    expect(await exists(counterKey(group))).toBe(false);
  });

  it("sends three or four commands an ack, and four a look", async () => {
    const [{ tracker, connection, register }, group] = [start(), id("group")];
    await register(group, 2);
    connection.sent.length = 0;
    await tracker.ack(group);
    expect(connection.sent.splice(0)).toEqual(["GET", "EXPIRE", "DECR"]);
    await tracker.tick();
    expect(connection.sent.splice(0)).toEqual(["EXISTS", "GET", "EXPIRE", "EXPIRE"]);
    await tracker.ack(group);
    expect(connection.sent.splice(0)).toEqual(["GET", "EXPIRE", "DECR", "DEL"]);
  });
});

describe("polling design", () => {
  it("fault 1: an ack before its registration is lost, and the group ends in a timeout", async ({ task }) => {
    let nowMs = 0;
    const [{ tracker, calls, register }, group] = [start({ now: () => nowMs }), id("group")];
    expect(await tracker.ack(group)).toBeNull();
    await register(group, 1);
    await tracker.tick();
    expect(calls).toEqual([]);
    nowMs = 60_000;
    await tracker.tick();
    fails(task, 1, "the ack is lost, the group times out");
    expect(calls).toEqual(["timeout"]);
  });

  it("fault 2: a task that is acked twice counts twice, and the group completes without the other", async ({
    task,
  }) => {
    const [{ tracker, calls, register, ack }, group] = [start(), id("group")];
    await register(group, 2);
    await ack(group, 2);
    await tracker.tick();
    fails(task, 2, "fires with one of two tasks done");
    expect(calls).toEqual(["complete"]);
  });

  it("fault 3: a task that is requeued and acked as well counts again when its retry is done", async ({ task }) => {
    const [{ tracker, calls, register }, group] = [start(), id("group")];
    const queue = ["a", "b"];
    const done: string[] = [];
    let isDown = true;
    // A worker that puts a task back after a passing failure, and acks what it took, whatever became of it.
    const work = async (): Promise<void> => {
      const name = queue.shift() ?? "";
      if (isDown) queue.unshift(name);
      else done.push(name);
      isDown = false;
      await tracker.ack(group);
    };
    await register(group, 2);
    await work();
    await work();
    await tracker.tick();
    fails(task, 3, "a failed try and its retry are two tasks done");
    expect([done, queue]).toEqual([["a"], ["b"]]);
    expect(calls).toEqual(["complete"]);
  });

  it("fault 4: a decrement that is resent because its reply was lost counts twice", async ({ task }) => {
    const [{ tracker, connection, calls, register, ack }, group] = [
      start({}, { at: "DECR", fault: "reply_lost" }),
      id("group"),
    ];
    await register(group, 2);
    await ack(group, 1);
    expect(connection.isOver).toBe(true);
    await tracker.tick();
    fails(task, 4, "one ack counts as two, fires early");
    expect(calls).toEqual(["complete"]);
  });

  it("fault 5: a final cleanup that is resent reads as another owner's, and nobody calls back", async ({ task }) => {
    const [{ tracker, connection, calls, register }, group] = [
      start({}, { at: "DEL", fault: "reply_lost" }),
      id("group"),
    ];
    await register(group, 1);
    await start().tracker.ack(group);
    await tracker.tick();
    await tracker.tick();
    expect(connection.isOver).toBe(true);
    fails(task, 5, "neither callback ever runs");
    expect([calls, tracker.owned]).toEqual([[], 0]);
    expect(await exists(registrationKey(group))).toBe(false);
  });

  it("fault 6: of two owners of a redelivered message one is dropped without a word", async ({ task }) => {
    const [first, second, group] = [start(), start(), id("group")];
    await first.register(group, 1);
    await second.register(group, 1);
    await first.ack(group, 1);
    await first.tracker.tick();
    await second.tracker.tick();
    fails(task, 6, "the second owner's callback is dropped");
    expect([first.calls, second.calls]).toEqual([["complete"], []]);
    expect(second.tracker.owned).toBe(0);
  });

  it("fault 6: a message that is redelivered after the end has its effect twice", async ({ task }) => {
    const [first, second, group] = [start(), start(), id("group")];
    for (const owner of [first, second]) {
      await owner.register(group, 1);
      await owner.ack(group, 1);
      await owner.tracker.tick();
    }
    fails(task, 6, "redelivered after the end it fires twice");
    expect([first.calls, second.calls]).toEqual([["complete"], ["complete"]]);
  });

  it("fault 7: a second registration resets the progress, and the group completes with a task missing", async ({
    task,
  }) => {
    const [{ tracker, calls, register }, group] = [start(), id("group")];
    const done = new Set<string>();
    const finish = async (name: string): Promise<void> => {
      done.add(name);
      await tracker.ack(group);
    };
    await register(group, 3);
    await finish("a");
    await register(group, 3);
    expect(await redis.get(counterKey(group))).toBe("3");
    // The redelivered parent has sent its tasks again: a and b come twice.
    for (const name of ["b", "a", "b"]) await finish(name);
    await tracker.tick();
    fails(task, 7, "progress reset, fires with a task missing");
    expect(calls).toEqual(["complete"]);
    expect(done.has("c")).toBe(false);
  });

  it("fault 8: an owner that crashes with the count at zero leaves keys, and nobody to call back", async ({ task }) => {
    const [{ calls, register, ack }, group] = [start(), id("group")];
    await register(group, 1);
    await ack(group, 1);
    // The owner is gone. Another one starts, and looks at its own groups.
    const restarted = start();
    await restarted.tracker.tick();
    fails(task, 8, "no callback ever, keys remain");
    expect([calls, restarted.calls]).toEqual([[], []]);
    expect(await exists(registrationKey(group))).toBe(true);
  });

  it("fault 9: a callback that throws once is never called again", async ({ task }) => {
    const [{ tracker, ack }, group] = [start(), id("group")];
    let attempts = 0;
    const onComplete = () => {
      if (++attempts === 1) throw new Error("not yet");
    };
    await tracker.register(group, 1, { onComplete });
    await ack(group, 1);
    for (let i = 0; i < 3; i++) await tracker.tick();
    fails(task, 9, "one attempt, and the state is gone");
    expect([attempts, tracker.owned, await exists(registrationKey(group))]).toEqual([1, 0, false]);
  });

  it("fault 10: one error of the backend in the callback keeps the request waiting for good", async ({ task }) => {
    const [{ tracker, ack }, group, request] = [start(), id("group"), id("request")];
    const lossy = connect({ at: "SREM", fault: "refused" });
    const requests = new PollingRequestWait(lossy, { pollMs: 5 });
    const { pending } = PollingRequestWait.keysOf(request);
    await requests.registerRoot(request, "chunks");
    await tracker.register(group, 1, { onComplete: () => requests.markDone(request, "chunks") });
    await ack(group, 1);
    await tracker.tick();
    expect([lossy.isOver, tracker.owned]).toEqual([true, 0]);
    // It has ten seconds left, and the wait gives it an hour again.
    await redis.expire(pending, 10);
    expect(await requests.wait(request, 30)).toBeNull();
    fails(task, 10, "the request waits for good, and keeps itself alive");
    expect(await redis.ttl(pending)).toBeGreaterThan(3_500);
    await tracker.tick();
    expect(await requests.wait(request, 30)).toBeNull();
  });

  it("fault 11: a counter that was evicted reads as zero, and the group completes with five tasks open", async ({
    task,
  }) => {
    const [{ tracker, calls, register }, group] = [start(), id("group")];
    await register(group, 5);
    await redis.del(counterKey(group));
    await tracker.tick();
    fails(task, 11, "complete with five pending");
    expect(calls).toEqual(["complete"]);
  });

  it("fault 12: the last ack comes between the look and the deadline, and a finished group times out", async ({
    task,
  }) => {
    let nowMs = 0;
    const [group, acker] = [id("group"), start()];
    const lastAck = async () => {
      expect(await acker.tracker.ack(group)).toBe(0);
      nowMs = 60_000;
    };
    const { tracker, calls, register } = start({ now: () => nowMs }, { at: "GET", after: lastAck });
    await register(group, 1);
    await tracker.tick();
    fails(task, 12, "the timeout fires for a finished group");
    expect(calls).toEqual(["timeout"]);
  });

  it("fault 13: a stray late ack takes a task from the group that has its id next", async ({ task }) => {
    const [{ tracker, calls, register, ack }, group] = [start(), id("group")];
    await register(group, 1);
    await ack(group, 1);
    await tracker.tick();
    expect(calls.splice(0)).toEqual(["complete"]);
    await register(group, 2);
    // The copy of the old task's ack, then one task of two.
    await start().tracker.ack(group);
    await ack(group, 1);
    await tracker.tick();
    fails(task, 13, "the new group loses a task, fires early");
    expect(calls).toEqual(["complete"]);
  });

  it("fault 13: a stray ack that meets the last one leaves a counter below zero that never expires", async ({
    task,
  }) => {
    const [{ tracker, calls, register }, group] = [start(), id("group")];
    await register(group, 1);
    const lastAck = () => tracker.ack(group);
    expect(await start({}, { at: "DECR", before: lastAck }).tracker.ack(group)).toBe(-1);
    fails(task, 13, "a stray ack leaves a key without TTL");
    expect(await redis.ttl(counterKey(group))).toBe(-1);
    await redis.del(counterKey(group));
    await tracker.tick();
    expect(calls).toEqual(["complete"]);
  });
});
