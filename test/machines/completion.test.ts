import { describe, expect, it } from "vitest";
import { MAX_OUTBOX, OWED_MS } from "../../src/machines/delivery.js";
import { MAX_EARLY } from "../../src/machines/early-acks.js";
import { MAX_ERRORS } from "../../src/machines/group.js";
import type { InputOf } from "../../src/machines/index.js";
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
    ["handler:x", "nobody has come that has its handler:x"],
    ["url", "nobody has come that sends webhooks"],
  ])("says what a drainer lacked that passed a delivery by: %s", (route, lastError) => {
    const { run } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: { route, body: "null" } } }));
    run("completion.woken", { routes: ["handler:y"] });
    expect(run("completion.status", {}).view?.delivery).toMatchObject({ state: "pending", attempts: 0, lastError });
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
    // Whoever holds the lease by then keeps it.
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

  it("refreshes its TTL at most every quarter of it", () => {
    const { run, pass, record } = bench();
    run("completion.register", registration({ total: 100 }));
    const until = () => record("completion")?.untilMs;
    pass(149_000);
    run("completion.ack", ack("a", "a"));
    expect(until()).toBe(T0 + 600_000);
    pass(2_000);
    run("completion.ack", ack("b", "b"));
    expect(until()).toBe(T0 + 151_000 + 600_000);
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
