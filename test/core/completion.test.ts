import { describe, expect, it } from "vitest";
import { MAX_DECREMENTS } from "../../src/core/group/completion.js";
import { MAX_EARLY, MAX_EARLY_BODIES } from "../../src/core/group/early-acks.js";
import { MAX_ERRORS } from "../../src/core/group/record.js";
import { MAX_OUTBOX, OWED_MS } from "../../src/core/outbox/deliveries.js";
import type { InputOf } from "../../src/core/registry.js";
import { bench, T0 } from "./bench.js";

const registration = (more: Partial<InputOf<"completion.register">> = {}): InputOf<"completion.register"> => ({
  op: "register",
  spec: "s",
  total: 2,
  timeoutMs: 0,
  ttlMs: 600_000,
  deliveryId: "msg_1",
  ...more,
});
const ack = (op: string, ...ids: string[]): InputOf<"completion.ack"> => ({
  op,
  tasks: ids.map((id) => ({ id })),
  earlyTtlMs: 300_000,
});
const TARGET = { route: "handler:x", body: "null" };

describe("the completion machine", () => {
  it.each([
    ["completion.ack", ack("late", "b")],
    ["completion.decrement", { op: "late", by: 1 }],
    ["completion.cancel", { reason: "late" }],
    ["completion.status", {}],
    ["completion.wait", {}],
    ["completion.results", { after: 0, limit: 10 }],
    ["completion.take", { op: "late", generation: 1 }],
    ["completion.redeliver", { op: "late" }],
    [
      "completion.settle",
      { generation: 1, fence: 1, retry: { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 }, random: 0 },
    ],
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

  it("arms its timer for the deadline or the outbox, whichever is first", () => {
    const { run, pass, record } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    expect(record("completion")?.wakeAtMs).toBe(T0);
    run("completion.woken", { routes: ["handler:x"], leaseMs: 40_000 });
    expect(record("completion")?.wakeAtMs).toBe(T0 + 40_000);
    const restart = { from: first.view?.generation ?? 0 };
    run("completion.register", registration({ op: "again", spec: "t", timeoutMs: 30_000, restart }));
    expect(record("completion")?.wakeAtMs).toBe(T0 + 30_000);
    pass(30_000);
    run("completion.woken", { routes: ["handler:x"] });
    expect(record("completion")?.wakeAtMs).toBe(T0 + 40_000);
  });

  it("hands a copy of a drainer's call the leases again, and a new call none", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const call = { op: "w1", routes: ["handler:x"], leaseMs: 40_000 };
    const { claims } = run("completion.woken", call);
    expect(claims).toMatchObject([{ attempt: 1, fence: 1 }]);
    pass(10_000);
    expect(run("completion.woken", call).claims).toEqual(claims);
    expect(run("completion.woken", { ...call, op: "w2" }).claims).toEqual("(empty)");
    pass(30_000);
    expect(run("completion.woken", call).claims).toMatchObject([{ attempt: 2, fence: 2 }]);
  });

  it("takes over at once what an earlier life of the sole deliverer had begun, and fences it off", () => {
    const { run } = bench();
    const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const call = { routes: ["handler:x"], leaseMs: 40_000 };
    run("completion.woken", { ...call, op: "w1", sole: "life-1" });
    expect(run("completion.woken", { ...call, op: "w2", sole: "life-1" }).claims).toEqual("(empty)");
    expect(run("completion.woken", { ...call, op: "w3", sole: "life-2" }).claims).toMatchObject([{ attempt: 2 }]);
    const settlement = {
      generation: view?.generation ?? 0,
      retry: { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 },
      random: 0,
    };
    expect(run("completion.settle", { ...settlement, fence: 1 }).settled).toBe(false);
    expect(run("completion.settle", { ...settlement, fence: 2 }).settled).toBe(true);
  });

  it("tells a copy of the settlement that delivered the same again", () => {
    const { run } = bench();
    const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    run("completion.woken", { routes: ["handler:x"] });
    const input = {
      generation: view?.generation ?? 0,
      fence: 1,
      retry: { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 },
      random: 0,
    };
    const first = run("completion.settle", input);
    expect(first).toMatchObject({ settled: true, delivery: { state: "delivered" } });
    expect(run("completion.settle", input)).toEqual(first);
    expect(run("completion.settle", { ...input, error: "late" }).settled).toBe(false);
  });

  it.each([
    ["handler:x", "no running instance has handler:x"],
    ["url", "no running instance sends webhooks"],
  ])("says what a drainer lacked that passed a delivery by: %s", (route, lastError) => {
    const { run } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: { route, body: "null" } } }));
    run("completion.woken", { routes: ["handler:y"] });
    expect(run("completion.status", {}).view?.delivery).toMatchObject({ state: "pending", attempts: 0, lastError });
  });

  describe("row 44: the day of a missing handler", () => {
    const HOUR_MS = 3_600_000;
    const lacking = { routes: ["handler:y"] };
    const having = { routes: ["handler:x"], leaseMs: 1_000, retry: { maxAttempts: 9, baseDelayMs: 0, maxDelayMs: 0 } };
    const started = () => {
      const { run, pass } = bench();
      const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
      const delivery = () => run("completion.status", {}).view?.delivery;
      return { run, pass, delivery, generation: view?.generation ?? 0 };
    };

    it("does not begin while no instance drains", () => {
      const { run, pass, delivery } = started();
      pass(25 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", lastError: "no running instance has handler:x" });
      expect(run("completion.woken", lacking).claims).toEqual("(empty)");
      pass(24 * HOUR_MS - 1);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending" });
      pass(300_000);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "dead", attempts: 0, lastError: "no running instance has handler:x" });
    });

    it("ends with a claim, and the reason is gone from the status with it", () => {
      const { run, pass, delivery, generation } = started();
      run("completion.woken", lacking);
      pass(23 * HOUR_MS);
      const [claim] = run("completion.woken", having).claims;
      expect(delivery()).not.toHaveProperty("lastError");
      const { retry } = having;
      run("completion.settle", { generation, fence: claim?.fence ?? 0, error: "broken", retry, random: 0 });
      pass(2 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", attempts: 1, lastError: "broken" });
      pass(23 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", lastError: "broken" });
      pass(HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "dead", attempts: 1, lastError: "broken" });
    });
  });

  it("row 48: hands a copy of a drainer's call its reports again, and a new call none", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const unhandled = [
      {
        outcome: "unhandled",
        deliveryId: "msg_1",
        route: "handler:x",
        attempt: 0,
        error: "no running instance has handler:x",
      },
    ];
    expect(run("completion.woken", { op: "w1", routes: [] }).notices).toEqual(unhandled);
    expect(run("completion.woken", { op: "w1", routes: [] }).notices).toEqual(unhandled);
    pass(10_000);
    expect(run("completion.woken", { op: "w2", routes: [] }).notices).toBeUndefined();
    pass(3_600_000);
    expect(run("completion.woken", { op: "w3", routes: [] }).notices).toEqual(unhandled);
    pass(86_400_000);
    const dead = [{ ...unhandled[0], outcome: "dead" }];
    expect(run("completion.woken", { op: "w4", routes: [] }).notices).toEqual(dead);
    expect(run("completion.woken", { op: "w4", routes: [] }).notices).toEqual(dead);
    expect(run("completion.woken", { op: "w5", routes: [] }).notices).toBeUndefined();
  });

  it.each([
    ["pending", 2],
    ["dead", 1],
  ])("tells a copy of the settlement of an attempt that failed the same again: %s", (state, maxAttempts) => {
    const { run, pass } = bench();
    const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    run("completion.woken", { op: "w1", routes: ["handler:x"] });
    const retry = { maxAttempts, baseDelayMs: 0, maxDelayMs: 0 };
    const input = { generation: view?.generation ?? 0, fence: 1, error: "broken", retry, random: 0 };
    const first = run("completion.settle", input);
    expect(first).toMatchObject({ settled: true, delivery: { state, attempts: 1 } });
    expect(run("completion.settle", input)).toEqual(first);
    expect(run("completion.settle", { ...input, fence: 7 }).settled).toBe(false);
    const { error: _, ...success } = input;
    expect(run("completion.settle", success).settled).toBe(false);
    // The instance that holds the lease by then keeps it.
    pass(1);
    const { claims } = run("completion.woken", { op: "w2", routes: ["handler:x"] });
    run("completion.settle", input);
    expect(run("completion.woken", { op: "w2", routes: ["handler:x"] }).claims).toEqual(claims);
  });

  it("makes a crash that comes again wait like any failure, and spends the attempts no faster", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const retry = { maxAttempts: 12, baseDelayMs: 1_000, maxDelayMs: 900_000 };
    let claimed = 0;
    for (let life = 0; life < 60; life++) {
      const { claims } = run("completion.woken", {
        routes: ["handler:x"],
        leaseMs: 40_000,
        sole: `life-${life}`,
        retry,
      });
      claimed += Object.keys(claims).length > 0 && typeof claims !== "string" ? 1 : 0;
      pass(2_000);
    }
    // Two minutes of crashes: 1 + 1 + 2 + 4 + … seconds apart, not one every two.
    expect(claimed).toBeGreaterThan(3);
    expect(claimed).toBeLessThan(9);
    expect(run("completion.status", {}).view?.delivery.state).toBe("pending");
  });

  it("keeps a dead letter for a week, through a restart too, and redelivers it once a call", () => {
    const { run, pass } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET }, ttlMs: 60_000 }));
    const retry = { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
    const generation = first.view?.generation ?? 0;
    run("completion.woken", { routes: ["handler:x"], retry });
    run("completion.settle", { generation, fence: 1, error: "broken", retry, random: 0 });
    pass(6 * 86_400_000);
    expect(run("completion.status", {}).view?.delivery.state).toBe("dead");
    run("completion.register", registration({ op: "again", spec: "t", total: 1, restart: { from: generation } }));
    run("completion.redeliver", { op: "r1" });
    const { claims } = run("completion.woken", { routes: ["handler:x"], retry });
    expect(claims).toMatchObject([{ generation, deliveryId: "msg_1", attempt: 2 }]);
    const fence = claims[0]?.fence ?? 0;
    run("completion.settle", { generation, fence, retry, random: 0 });
    run("completion.redeliver", { op: "r1" });
    expect(run("completion.woken", { routes: ["handler:x"], retry }).claims).toEqual("(empty)");
  });

  it("begins anew once the dead letters that filled the outbox are a week old", () => {
    const { run, pass } = bench();
    const retry = { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
    const restart = (n: number) =>
      run("completion.register", {
        ...registration({ op: `r${n}`, spec: `${n}`, total: 0, targets: { complete: TARGET }, deliveryId: `msg_${n}` }),
        ...{ ttlMs: 30 * 86_400_000, restart: {} },
      });
    for (let n = 1; n <= MAX_OUTBOX; n++) {
      expect(restart(n).outcome).toBe("created");
      run("completion.woken", { op: `w${n}`, routes: ["handler:x"], retry });
      const generation = run("completion.status", {}).view?.generation ?? 0;
      expect(run("completion.settle", { generation, fence: 1, error: "broken", retry, random: 0 }).settled).toBe(true);
    }
    expect(restart(17).outcome).toBe("outbox_full");
    pass(OWED_MS - 1);
    expect(restart(18).outcome).toBe("outbox_full");
    pass(1);
    expect(restart(19).outcome).toBe("created");
    expect(restart(20).outcome).toBe("created");
  });

  it("redelivers once a call, what was delivered too", () => {
    const { run } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const generation = first.view?.generation ?? 0;
    const retry = { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 };
    run("completion.woken", { routes: ["handler:x"] });
    run("completion.settle", { generation, fence: 1, retry, random: 0 });
    run("completion.redeliver", { op: "r1" });
    const { claims } = run("completion.woken", { routes: ["handler:x"] });
    run("completion.settle", { generation, fence: claims[0]?.fence ?? 0, retry, random: 0 });
    expect(run("completion.redeliver", { op: "r1" }).view?.delivery).toMatchObject({ state: "delivered", attempts: 2 });
    expect(run("completion.redeliver", { op: "r2" }).view?.delivery).toMatchObject({ state: "pending", attempts: 2 });
  });

  it("keeps 1,000 early acks with a result, and goes on to keep those without", () => {
    const { run } = bench();
    const early = (id: string, result?: string) =>
      run("completion.ack", { ...ack(id), tasks: [result === undefined ? { id } : { id, result }] }).results[0]
        ?.verdict;
    for (let i = 0; i < 1_000; i++) expect(early(`r${i}`, "1")).toBe("early");
    expect(early("one more", "1")).toBe("unknown");
    expect(early("plain")).toBe("early");
  });

  it("counts a result that comes anew once the early ack before it has ceased to count", () => {
    const { run, pass } = bench();
    const early = (id: string, result?: string) =>
      run("completion.ack", { ...ack(id), tasks: [result === undefined ? { id } : { id, result }] }).results[0]
        ?.verdict;
    for (let i = 0; i < 1_001; i++) early(`t${i}`);
    pass(299_999);
    early("keeper");
    pass(1);
    for (let i = 0; i < 1_000; i++) expect(early(`t${i}`, "1")).toBe("early");
    expect(early("t1000", "1")).toBe("unknown");
    // Once more in their own place, they are no more than they were.
    pass(299_999);
    early("keeper");
    pass(1);
    for (let i = 0; i < 1_000; i++) expect(early(`t${i}`, "2")).toBe("early");
    expect(early("t1000", "1")).toBe("unknown");
    expect(run("completion.register", registration({ total: 2_000 })).view?.succeeded).toBe(1_001);
  });

  it("tells the copy of an older restart that its generation exists, and restarts nothing", () => {
    const { run } = bench();
    run("completion.register", registration());
    run("completion.register", registration({ op: "a", spec: "a", restart: {} }));
    const second = run("completion.register", registration({ op: "b", spec: "b", restart: {} }));
    run("completion.ack", ack("x", "1"));
    const copy = run("completion.register", registration({ op: "a", spec: "a", restart: {} }));
    expect(copy).toMatchObject({ outcome: "exists", view: { generation: second.view?.generation, remaining: 1 } });
  });

  it("ends a generation alone that a cancel names", () => {
    const { run } = bench();
    const first = run("completion.register", registration());
    const generation = first.view?.generation ?? 0;
    run("completion.register", registration({ op: "b", spec: "b", restart: { from: generation } }));
    expect(run("completion.cancel", { reason: "late", generation }).view?.state).toBe("open");
    expect(run("completion.cancel", { reason: "now" }).view?.state).toBe("cancelled");
  });

  it("stores 100 errors and no more, and counts them all", () => {
    const { run, record } = bench();
    run("completion.register", registration({ total: 300 }));
    for (let i = 0; i < 300; i++) {
      run("completion.ack", { ...ack(`op${i}`), tasks: [{ id: `t${i}`, error: "broken" }] });
    }
    const names = Object.keys(record("completion")?.members ?? {}).filter((name) => name.startsWith("e:"));
    expect(names).toHaveLength(MAX_ERRORS);
    expect(record("completion")?.head).toMatchObject({ fields: { failed: 300, state: "completed" } });
  });

  it("keeps 10,000 early acks, tells further ones so, and counts those it kept", () => {
    const { run } = bench();
    const ids = Array.from({ length: MAX_EARLY + 1 }, (_, i) => `t${i}`);
    for (let from = 0; from < MAX_EARLY; from += 1_000)
      run("completion.ack", ack("op", ...ids.slice(from, from + 1_000)));
    const { results } = run("completion.ack", ack("op", ids[MAX_EARLY] ?? "", "t0"));
    expect(results.map(({ verdict }) => verdict)).toEqual(["unknown", "early"]);
    expect(run("completion.register", registration({ total: MAX_EARLY + 5 })).view).toMatchObject({
      succeeded: MAX_EARLY,
      remaining: 5,
    });
  });

  it("row 63: a generation is above those of a record that has expired, though they ran ahead of the clock", () => {
    const { run, pass } = bench();
    const again = (n: number) =>
      run("completion.register", registration({ op: `r${n}`, spec: `${n}`, total: 0, ttlMs: 1_000, restart: {} }));
    for (let n = 0; n < 9_000; n++) again(n);
    const newest = run("completion.status", {}).view?.generation ?? 0;
    expect(newest).toBe(T0 + 8_999);
    pass(8_999 + 999);
    expect(run("completion.status", {}).view?.generation).toBe(newest);
    pass(1);
    expect(run("completion.status", {})).toEqual("(empty)");
    const { view } = run("completion.register", registration({ total: 0 }));
    expect(view?.generation).toBeGreaterThan(newest);
  });

  it("leaves nothing behind when an unknown group is read, or acked with a generation", () => {
    const { run, record } = bench();
    run("completion.status", {});
    run("completion.wait", {});
    run("completion.results", { after: 0, limit: 1 });
    run("completion.cancel", { reason: "x" });
    run("completion.decrement", { op: "x", by: 1 });
    run("completion.redeliver", { op: "x" });
    run("completion.woken", { routes: ["handler:x"] });
    run("completion.ack", { ...ack("x", "a"), generation: 7 });
    expect(record("completion")).toBeUndefined();
  });
});

describe("row 57: an open group without a deadline", () => {
  const TTL_MS = 600_000;
  const END = { end: TARGET };
  const state = ({ run }: ReturnType<typeof bench>) => run("completion.status", {}).view?.state;

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
    b.pass(TTL_MS + OWED_MS);
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
    ["a redelivery", "completion.redeliver", { op: "x" }, true],
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

describe("row 64: early acks that count no more", () => {
  const early = (b: ReturnType<typeof bench>, id: string, more: object = {}) =>
    b.run("completion.ack", { ...ack(id), tasks: [{ id, ...more }] }).results[0]?.verdict;
  const fill = (b: ReturnType<typeof bench>, count: number, label = "t", more: object = {}) => {
    const ids = Array.from({ length: count }, (_, i) => `${label}${i}`);
    for (let from = 0; from < count; from += 1_000) {
      const tasks = ids.slice(from, from + 1_000).map((id) => ({ id, ...more }));
      b.run("completion.ack", { ...ack(`${label}${from}`), tasks });
    }
  };

  it("take no room, though a later ack has kept their record alive", () => {
    const b = bench();
    fill(b, MAX_EARLY - 1);
    b.pass(299_999);
    expect(early(b, "keeper")).toBe("early");
    expect(early(b, "one more")).toBe("unknown");
    b.pass(1);
    fill(b, MAX_EARLY - 1, "u");
    expect(early(b, "one more")).toBe("unknown");
    const { view } = b.run("completion.register", registration({ total: 3 * MAX_EARLY }));
    expect(view?.succeeded).toBe(MAX_EARLY);
  });

  it("with a result take none of the room for results either, and plain acks take none of it", () => {
    const b = bench();
    fill(b, MAX_EARLY_BODIES, "r", { result: "1" });
    b.pass(200_000);
    fill(b, 2_000);
    expect(early(b, "more", { error: "broken" })).toBe("unknown");
    b.pass(100_000);
    fill(b, MAX_EARLY_BODIES, "s", { result: "2" });
    expect(early(b, "more", { error: "broken" })).toBe("unknown");
    const { view } = b.run("completion.register", registration({ total: 10_000 }));
    expect(view?.succeeded).toBe(MAX_EARLY_BODIES + 2_000);
  });

  it("give their room one by one, with one that is prolonged and others that last shorter among them", () => {
    const b = bench();
    for (let i = 0; i < MAX_EARLY; i++) {
      if (i % 100 === 0) b.pass(100);
      b.run("completion.ack", { ...ack(`o${i}`, `t${i}`), earlyTtlMs: i % 2 === 0 ? 300_000 : 200_000 });
    }
    expect(early(b, "none")).toBe("unknown");
    b.pass(T0 + 200_000 - b.now());
    early(b, "t0");
    for (let i = 0; i < 6; i++) {
      // A hundred acks came in the same instant; every other one of them lasts for 200 s.
      b.pass(100);
      for (let n = 0; n < 50; n++) expect([i, n, early(b, `u${i}-${n}`)]).toEqual([i, n, "early"]);
      expect([i, early(b, `v${i}`)]).toEqual([i, "unknown"]);
    }
    const { view } = b.run("completion.register", registration({ total: 3 * MAX_EARLY }));
    expect(view?.succeeded).toBe(MAX_EARLY);
  });

  it("leave the order of the others: those that came first count first", () => {
    const b = bench();
    early(b, "gone");
    b.pass(1);
    fill(b, MAX_EARLY - 1);
    b.pass(299_999);
    // It takes the first slot, and comes last.
    early(b, "last");
    early(b, "gone");
    const tasks = ["last", "t0"];
    const { view } = b.run("completion.register", registration({ total: 1 }));
    expect(view?.state).toBe("completed");
    const { results } = b.run("completion.ack", ack("other", ...tasks));
    expect(results.map(({ verdict }) => verdict)).toEqual(["late", "duplicate"]);
  });

  it("are no longer searched for while none can be over", () => {
    const b = bench();
    fill(b, MAX_EARLY);
    expect(early(b, "a")).toBe("unknown");
    const before = b.record("completion");
    b.pass(299_999);
    expect(early(b, "b")).toBe("unknown");
    expect(b.record("completion")).toEqual(before);
    b.pass(1);
    expect(early(b, "c")).toBe("early");
  });

  it("lose no time to an ack of the same task that would last shorter", () => {
    const b = bench();
    early(b, "a");
    b.run("completion.ack", { ...ack("again", "a"), earlyTtlMs: 1_000 });
    b.pass(299_999);
    expect(b.run("completion.register", registration({ total: 1 })).view?.state).toBe("completed");
  });
});

describe("row 65: a decrement", () => {
  it("that names its generation counts in no other", () => {
    const { run } = bench();
    const first = run("completion.register", registration({ total: 3 })).view?.generation ?? 0;
    const call = { op: "message-1", by: 1, generation: first };
    expect(run("completion.decrement", call)).toEqual({ remaining: 2 });
    run("completion.register", registration({ op: "again", spec: "t", total: 3, restart: { from: first } }));
    expect(run("completion.decrement", call)).toEqual("(empty)");
    expect(run("completion.status", {}).view).toMatchObject({ remaining: 3 });
    // Without a generation it counts for whichever stands.
    expect(run("completion.decrement", { op: "message-1", by: 1 })).toEqual({ remaining: 2 });
  });

  it("is known again for the group's TTL, and a minute at least", () => {
    for (const [ttlMs, keptMs] of [
      [600_000, 600_000],
      [1_000, 60_000],
    ] as const) {
      const { run, pass } = bench();
      run("completion.register", registration({ total: 10_000, ttlMs, timeoutMs: 3_600_000 }));
      run("completion.decrement", { op: "first", by: 1 });
      pass(keptMs - 1);
      for (let i = 0; i < 100; i++) run("completion.decrement", { op: `op${i}`, by: 1 });
      expect(run("completion.decrement", { op: "first", by: 1 })).toEqual({ remaining: 10_000 - 101 });
      pass(1);
      run("completion.decrement", { op: "another", by: 1 });
      expect(run("completion.decrement", { op: "first", by: 1 })).toEqual({ remaining: 10_000 - 103 });
    }
  });

  it("leaves a record of one size, however many there were", () => {
    const { run, record } = bench();
    run("completion.register", registration({ total: 1_000_000 }));
    const sizeAfter = (from: number, to: number): number => {
      for (let i = from; i < to; i++) run("completion.decrement", { op: `operation-${100_000 + i}`, by: 1 });
      return JSON.stringify(record("completion")).length;
    };
    const before = sizeAfter(0, MAX_DECREMENTS);
    // The numbers in its members' names have a few digits more.
    expect(sizeAfter(MAX_DECREMENTS, 6_000)).toBeLessThan(before * 1.05);
    const known = Object.keys(record("completion")?.members ?? {}).filter((name) => name.startsWith("x:")).length;
    expect(known).toBeGreaterThanOrEqual(1_000);
    expect(known).toBeLessThanOrEqual(MAX_DECREMENTS);
    // The last thousand are known.
    const remaining = run("completion.status", {}).view?.remaining;
    expect(run("completion.decrement", { op: `operation-${105_000}`, by: 1 })).toEqual({ remaining });
  });

  it("beside a redelivery, which can name its generation too", () => {
    const { run } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const generation = first.view?.generation ?? 0;
    const retry = { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 };
    run("completion.woken", { routes: ["handler:x"] });
    run("completion.settle", { generation, fence: 1, retry, random: 0 });
    expect(run("completion.redeliver", { op: "r1", generation: generation - 1 }).view?.delivery.state).toBe(
      "delivered",
    );
    expect(run("completion.redeliver", { op: "r1", generation }).view?.delivery.state).toBe("pending");
  });
});
