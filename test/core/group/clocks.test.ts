import { describe, expect, it } from "vitest";
import type { Child } from "../../../src/core/group/growth.js";
import { PENDING_MS } from "../../../src/core/outbox/deliveries.js";
import { ack, type Bench, bench, registration, T0, TARGET } from "../bench.js";

describe("the deadline of a group", () => {
  it.each([
    ["completion.ack", ack("late", "b")],
    ["completion.decrement", { op: "late", by: 1 }],
    ["completion.cancel", { reason: "late" }],
    ["completion.status", {}],
    ["completion.wait", {}],
    ["completion.results", { after: 0, limit: 10 }],
    ["completion.take", { op: "late", generation: 1 }],
    ["completion.redeliver", { op: "late" }],
    ["completion.settle", { key: "1", fence: 1, retry: { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 }, random: 0 }],
    ["completion.register", registration()],
    ["completion.woken", {}],
  ] as const)("applies a deadline that no timer announced: %s", (transition, input) => {
    const { run, pass, record } = bench();
    run("completion.register", registration({ timeoutMs: 60_000 }));
    run("completion.ack", ack("a", "a"));
    pass(60_000);
    run(transition, input as never);
    expect(record("completion")?.head).toMatchObject({ fields: { state: "timed_out", succeeded: 1 } });
  });

  it("leaves the last millisecond before the deadline to the acks", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 1, timeoutMs: 60_000 }));
    pass(59_999);
    expect(run("completion.ack", ack("a", "a")).results).toMatchObject([{ verdict: "accepted", ended: true }]);
  });

  it("moves once for a call that is sent again", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ timeoutMs: 60_000 }));
    const extend = { op: "later", timeoutMs: 120_000 };
    expect(run("completion.extend", extend).view?.deadlineAtMs).toBe(T0 + 120_000);
    pass(1_000);
    expect(run("completion.extend", extend).view).toMatchObject({ deadlineAtMs: T0 + 120_000, changes: 2 });
    expect(run("completion.extend", { ...extend, op: "later still" }).view?.deadlineAtMs).toBe(T0 + 121_000);
  });
});

describe("a group with child groups and without a deadline", () => {
  const lists = ['["","a"]'];
  const children: Child[] = [{ id: "a", machine: "completion", groupId: "child" }];

  it("has a timer for its silent end, also after a restart in place", () => {
    const { run, pass } = bench();
    const open = { grows: true, kind: "named", total: 0, lists, children, timeoutMs: 0 } as const;
    const first = run("completion.register", registration({ ...open, ttlMs: 60_000 })).view;
    const restart = { from: first?.generation ?? 0, keep: "succeeded" } as const;
    run("completion.register", registration({ ...open, ttlMs: 60_000, op: "again", fingerprint: "again", restart }));
    pass(60_000);
    expect(run("completion.woken", { routes: ["cascade"] }).claims).toMatchObject([{ type: "group.timed_out" }]);
  });
});

describe("row 57: an open group without a deadline", () => {
  const TTL_MS = 600_000;
  const END = { end: TARGET };
  const state = ({ run }: Bench) => run("completion.status", {}).view?.state;

  it("ends as timed out once nothing has touched it for its TTL, with its callback", () => {
    const b = bench();
    b.run("completion.register", registration({ targets: END }));
    b.pass(TTL_MS - 1);
    expect(b.run("completion.ack", ack("a", "a")).results).toMatchObject([{ verdict: "accepted" }]);
    b.pass(TTL_MS - 1);
    expect(state(b)).toBe("open");
    b.pass(1);
    const { claims } = b.run("completion.woken", { routes: ["handler:x"] });
    expect(claims).toMatchObject([{ type: "group.timed_out", deliveryId: "msg_1" }]);
    expect(b.run("completion.ack", ack("b", "b")).results).toMatchObject([{ verdict: "late", state: "timed_out" }]);
  });

  it("has a timer where it has a target, which moves later only when it rings", () => {
    const b = bench();
    b.run("completion.register", registration({ total: 100, targets: END }));
    const wake = () => b.record("completion")?.wakeAtMs;
    expect(wake()).toBe(T0 + TTL_MS);
    for (let i = 0; i < 9; i++) {
      b.pass(60_000);
      b.run("completion.ack", ack(`a${i}`, `a${i}`));
      expect(wake()).toBe(T0 + TTL_MS);
    }
    b.pass(60_000);
    b.run("completion.woken", { routes: [] });
    expect(wake()).toBe(T0 + 540_000 + TTL_MS);
    expect(state(b)).toBe("open");
    b.pass(540_000);
    expect(state(b)).toBe("timed_out");
  });

  it("has no timer without a target: a read within the next TTL applies its end", () => {
    for (const targets of [undefined, { complete: TARGET }]) {
      const b = bench();
      b.run("completion.register", registration(targets === undefined ? {} : { targets }));
      expect(b.record("completion")?.wakeAtMs).toBeNull();
      b.pass(2 * TTL_MS - 1);
      expect(state(b)).toBe("timed_out");
      b.pass(TTL_MS - 1);
      expect(state(b)).toBe("timed_out");
      b.pass(1);
      expect(b.run("completion.status", {})).toEqual("(empty)");
    }
  });

  it("is kept, for a drain that comes late, as long as a group with a deadline is", () => {
    const b = bench();
    b.run("completion.register", registration({ targets: END }));
    b.pass(TTL_MS + PENDING_MS);
    expect(b.run("completion.woken", { routes: ["handler:x"] }).claims).toMatchObject([{ type: "group.timed_out" }]);
  });

  it("moves its expiry seldom, however often it is written", () => {
    const b = bench();
    b.run("completion.register", registration({ total: 1_000 }));
    const untils = new Set<unknown>();
    for (let i = 0; i < 60; i++) {
      b.pass(10_000);
      b.run("completion.ack", ack(`a${i}`, `a${i}`));
      const untilMs = b.record("completion")?.untilMs ?? 0;
      // It outlives its end by a TTL, and by a quarter more at most.
      expect(untilMs).toBeGreaterThanOrEqual(b.now() + 2 * TTL_MS);
      expect(untilMs).toBeLessThanOrEqual(b.now() + 2.25 * TTL_MS);
      untils.add(untilMs);
    }
    expect(untils.size).toBe(4);
  });

  it.each([
    ["an ack that counts", "completion.ack", ack("x", "new"), true],
    ["a failed task", "completion.ack", { ...ack("x", "new"), tasks: [{ id: "new", error: "broken" }] }, true],
    ["a decrement", "completion.decrement", { op: "x", by: 1 }, true],
    ["a redelivery", "completion.redeliver", { op: "x" }, false],
    ["a waiter", "completion.wait", {}, true],
    ["a background follower", "completion.wait", { background: true }, false],
    ["a status", "completion.status", {}, false],
    ["a duplicate", "completion.ack", ack("x", "old"), false],
    ["a decrement of another generation", "completion.decrement", { op: "x", by: 1, generation: 1 }, false],
    ["a decrement that comes again", "completion.decrement", { op: "old", by: 1 }, false],
    ["a drainer", "completion.woken", { routes: ["handler:x"] }, false],
  ] as const)("is put off by what touches it, and by nothing else: %s", (_, transition, input, isPutOff) => {
    const b = bench();
    b.run("completion.register", registration({ total: 100, targets: END }));
    b.run("completion.ack", ack("old", "old"));
    b.run("completion.decrement", { op: "old", by: 1 });
    b.pass(TTL_MS / 2);
    b.run(transition, input as never);
    b.pass(TTL_MS / 2);
    expect(state(b)).toBe(isPutOff ? "open" : "timed_out");
  });

  it("tells a waiter when to look again, so that it is kept, and writes at most every quarter of its TTL", () => {
    const b = bench();
    b.run("completion.register", registration({}));
    for (let i = 0; i < 40; i++) {
      const { ready, recheckInMs } = b.run("completion.wait", {});
      expect([i, ready, recheckInMs]).toEqual([i, false, TTL_MS / 4]);
      b.pass(TTL_MS / 4 - 1);
      const before = b.record("completion");
      b.run("completion.wait", {});
      expect(b.record("completion")).toEqual(before);
      b.pass(1);
    }
    expect(b.run("completion.ack", ack("a", "a")).results).toMatchObject([{ verdict: "accepted" }]);
  });

  it("tells a follower that does not keep it when it ends", () => {
    const b = bench();
    b.run("completion.register", registration({}));
    b.pass(1_000);
    expect(b.run("completion.wait", { background: true }).recheckInMs).toBe(TTL_MS - 1_000);
    b.pass(TTL_MS - 1_000);
    const generation = b.run("completion.status", {}).view?.generation ?? 0;
    const { ready, view } = b.run("completion.wait", { generation, background: true });
    expect([ready, view?.state]).toEqual([true, "timed_out"]);
  });

  it("is kept by its waiters alone for 30 days, and ends then", () => {
    const b = bench();
    const DAYS_30_MS = 30 * 86_400_000;
    b.run("completion.register", registration({ ttlMs: 86_400_000 }));
    let looks = 0;
    for (;;) {
      const { ready, recheckInMs = 0 } = b.run("completion.wait", {});
      if (ready) break;
      expect(recheckInMs).toBeGreaterThan(0);
      b.pass(recheckInMs);
      looks++;
    }
    expect(b.now()).toBeGreaterThanOrEqual(T0 + DAYS_30_MS);
    expect(b.now()).toBeLessThanOrEqual(T0 + DAYS_30_MS + 86_400_000);
    expect(looks).toBeLessThan(130);
  });

  it("ends under a waiter though its TTL is shorter than a waiter looks, and says so", () => {
    const b = bench();
    b.run("completion.register", registration({ ttlMs: 50 }));
    const { recheckInMs } = b.run("completion.wait", {});
    expect(recheckInMs).toBe(50);
    b.pass(50);
    expect(b.run("completion.wait", {})).toMatchObject({ ready: true, view: { state: "timed_out" } });
  });
});
