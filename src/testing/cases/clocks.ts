import { equal, isTrue, matches, present } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";

const CLOCKED = { needs: ["clock"] } as const;
const DELIVERED = { needs: ["clock", "handlers"] } as const;
const IDLE = { timeoutSec: 0, idleTimeoutSec: 600, ttlSec: 86_400 } as const;

/** The clocks that end a group: its deadline, its idle timeout, and the silent end. */
export const clocks: readonly ConformanceCase[] = [
  aCase("acks, announcements, retries and heartbeats put off the idle timeout", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b"], { ...IDLE, open: true });
    const acts: readonly (() => Promise<unknown>)[] = [
      () => tracker.ack(id, "a"),
      () => tracker.add(id, "c"),
      () => tracker.fail(id, "b", "broken"),
      () => tracker.retry(id, "b"),
      () => tracker.ack(id, "early"),
      () => tracker.heartbeat(id),
      () => tracker.seal(id),
    ];
    for (const [i, act] of acts.entries()) {
      await t.advance(500_000);
      await act();
      equal((await tracker.status(id))?.state, "open", `after call ${i}`);
    }
    await t.advance(590_000);
    equal((await tracker.status(id))?.state, "open", "shortly before the end");
    await t.advance(11_000);
    matches(await tracker.status(id), { state: "timed_out", reason: "idle", ok: false, remaining: 2 }, "the end");
    matches(await tracker.heartbeat(id), { alive: false, state: "timed_out" }, "a heartbeat after it");
  }),
  aCase("duplicates, waiters and readers do not put off the idle timeout", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b"], IDLE);
    await tracker.ack(id, "a");
    for (let i = 0; i < 2; i++) {
      await t.advance(290_000);
      equal((await tracker.ack(id, "a")).verdict, "duplicate", "a duplicate");
      equal((await tracker.ack(id, "x")).verdict, "unknown", "an unknown task");
      equal((await tracker.register(id, ["a", "b"], IDLE)).state, "open", "a second registration");
      await tracker.redeliver(id);
      const look = tracker.wait(id, { timeoutMs: 0 });
      await t.advance(0);
      equal((await look)?.state, "open", "a waiter");
    }
    await t.advance(21_000);
    matches(await tracker.status(id), { state: "timed_out", reason: "idle" }, "the end");
  }),
  aCase("the idle timeout delivers its end, and the deadline goes first where it is earlier", DELIVERED, async (t) => {
    const [tracker, idle, late] = [t.tracker(), t.id("idle"), t.id("late")];
    const onTimeout = { handler: "record", payload: "over" } as const;
    await tracker.register(idle, ["a"], { timeoutSec: 3_600, idleTimeoutSec: 60, onTimeout });
    await tracker.register(late, ["a"], { timeoutSec: 60, idleTimeoutSec: 3_600, onTimeout });
    await t.advance(61_000);
    for (const [id, reason] of [
      [idle, "idle"],
      [late, "deadline"],
    ] as const) {
      const [first] = await t.untilDelivered(id, 1, { stepMs: 10_000 });
      matches(first?.event, { type: "group.timed_out", reason }, "the delivery");
    }
  }),
  aCase("a wait resolves at the idle end, without a write", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"], IDLE);
    const wait = tracker.wait(id, { timeoutMs: 86_400_000 });
    wait.catch(() => {});
    await t.advance(601_000);
    matches(await wait, { state: "timed_out", reason: "idle" }, "the waiter");
  }),
  aCase("a heartbeat says whether the work is worth doing, and makes no new version", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal(await tracker.heartbeat(id), { alive: true, state: "unregistered" }, "before the registration");
    const { generation, version } = await tracker.register(id, ["a"], IDLE);
    await t.advance(300_000);
    equal(await tracker.heartbeat(id), { alive: true, state: "open" }, "an open group");
    equal((await tracker.status(id))?.version, version, "its version");
    const other = await tracker.heartbeat(id, { generation: generation + 1 });
    equal(other, { alive: false, state: "open" }, "another generation");
    await tracker.ack(id, "a");
    equal(await tracker.heartbeat(id), { alive: false, state: "completed" }, "an ended group");
  }),
  aCase("extend moves the deadline to a later instant, and never to an earlier one", DELIVERED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const onTimeout = { handler: "record", payload: "late" } as const;
    const registered = await tracker.register(id, ["a"], { timeoutSec: 600, onTimeout });
    const before = present(registered.deadlineAtMs, "the deadline");
    await t.advance(300_000);
    equal((await tracker.extend(id, { timeoutSec: 60 }))?.deadlineAtMs, before, "an earlier one");
    const other = { timeoutSec: 3_600, generation: registered.generation + 1 };
    equal((await tracker.extend(id, other))?.deadlineAtMs, before, "another generation");
    const after = present((await tracker.extend(id, { timeoutSec: 900 }))?.deadlineAtMs, "the deadline");
    isTrue(after >= before + 600_000, "a later one");
    await t.advance(590_000);
    equal((await tracker.status(id))?.state, "open", "after the first deadline");
    equal((await t.deliveries(id)).length, 0, "deliveries");
    await t.advance(311_000);
    const [first] = await t.untilDelivered(id, 1, { stepMs: 10_000 });
    matches(first?.event, { type: "group.timed_out", reason: "deadline" }, "the delivery");
    equal((await tracker.extend(id, { timeoutSec: 900 }))?.deadlineAtMs, after, "after the end");
  }),
  aCase("extend gives no deadline to a group without one, and knows no others", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"], { timeoutSec: 0 });
    equal((await tracker.extend(id, { timeoutSec: 60 }))?.deadlineAtMs, null, "a group without a deadline");
    equal(await tracker.extend(t.id("none"), { timeoutSec: 60 }), null, "an unknown group");
  }),
  aCase("a registration that differs in its deadline alone leaves the first one", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { deadlineAtMs } = await tracker.register(id, ["a"], { timeoutSec: 600 });
    equal((await tracker.register(id, ["a"], { timeoutSec: 60 })).deadlineAtMs, deadlineAtMs, "the deadline");
  }),
  aCase("a silent group without a target has ended for the next reader, with its reason", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"], { timeoutSec: 0, ttlSec: 600 });
    await t.advance(400_000);
    await tracker.heartbeat(id);
    await t.advance(400_000);
    equal((await tracker.status(id))?.state, "open", "within the TTL after a heartbeat");
    await t.advance(201_000);
    matches(await tracker.status(id), { state: "timed_out", reason: "silent" }, "the end");
  }),
  aCase("an open group that callers follow lives on, though none of its tasks is announced", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { version } = await tracker.register(id, [], { open: true, timeoutSec: 0, ttlSec: 600 });
    for (let i = 0; i < 3; i++) {
      await t.advance(400_000);
      const follow = tracker.newer(id, version, { timeoutMs: 0 });
      follow.catch(() => {});
      await t.advance(0);
      equal(await follow.catch(({ code }: { readonly code: string }) => code), "wait_timeout", "a follower");
    }
    equal((await tracker.add(id, "a")).outcome, "added", "a task, long after the TTL");
    await t.advance(601_000);
    matches(await tracker.status(id), { state: "timed_out", reason: "silent" }, "without followers");
  }),
];
