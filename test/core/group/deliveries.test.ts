import { describe, expect, it } from "vitest";
import { MAX_OUTBOX, PENDING_MS } from "../../../src/core/outbox/deliveries.js";
import { ack, bench, named, registration, T0, TARGET } from "../bench.js";

const [ONE, TWO, THREE] = ["1", "2", "3"].map((n) => `00-${n.repeat(32)}-${n.repeat(16)}-01`) as [
  string,
  string,
  string,
];

describe("the trace contexts of a group", () => {
  const due = { routes: ["handler:x"], leaseMs: 40_000 };

  it("come with its claims: those of the registration and of the ack that ended it", () => {
    const { run, record } = bench();
    run("completion.register", named(["a", "b"], { targets: { end: TARGET }, traceparent: ONE }));
    run("completion.register", named(["a", "b"], { op: "again", targets: { end: TARGET }, traceparent: THREE }));
    const before = JSON.stringify(record("completion")?.head);
    run("completion.ack", { ...ack("x", "a"), traceparent: THREE });
    // An ack that does not end the group stores nothing of it.
    expect(JSON.stringify(record("completion"))).not.toContain(THREE);
    expect(before).not.toContain(ONE);
    run("completion.ack", { ...ack("y", "b"), traceparent: TWO });
    run("completion.ack", { ...ack("z", "b"), traceparent: THREE });
    expect(JSON.stringify(record("completion")?.head)).not.toContain(TWO);
    expect(run("completion.woken", due).claims).toMatchObject([{ registerTrace: ONE, endTrace: TWO }]);
  });

  it("are those of the generation: a restart replaces them, and a deadline has none", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ targets: { end: TARGET }, traceparent: ONE }));
    run("completion.decrement", { op: "d", by: 2, traceparent: TWO });
    const again = { op: "r", fingerprint: "t", targets: { end: TARGET }, restart: {}, timeoutMs: 1_000 };
    run("completion.register", registration({ ...again, deliveryId: "msg_2", traceparent: THREE }));
    pass(1_000);
    const claims = [
      { deliveryId: "msg_1", registerTrace: ONE, endTrace: TWO },
      { deliveryId: "msg_2", registerTrace: THREE },
    ];
    const output = run("completion.woken", due);
    expect(output.claims).toMatchObject(claims);
    expect(output.claims[1]).not.toHaveProperty("endTrace");
    run("completion.register", registration({ ...again, op: "s", fingerprint: "u", total: 0, deliveryId: "msg_3" }));
    expect(run("completion.woken", { ...due, op: "w" }).claims[0]).not.toHaveProperty("registerTrace");
  });
});

describe("the deliveries of a group", () => {
  it("arms its timer for the deadline or the outbox, whichever is first", () => {
    const { run, pass, record } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    expect(record("completion")?.wakeAtMs).toBe(T0);
    run("completion.woken", { routes: ["handler:x"], leaseMs: 40_000 });
    expect(record("completion")?.wakeAtMs).toBe(T0 + 40_000);
    const restart = { from: first.view?.generation ?? 0 };
    run("completion.register", registration({ op: "again", fingerprint: "t", timeoutMs: 30_000, restart }));
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
      key: String(view?.generation),
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
      key: String(view?.generation),
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
    ["pending", 2],
    ["dead", 1],
  ])("tells a copy of the settlement of an attempt that failed the same again: %s", (state, maxAttempts) => {
    const { run, pass } = bench();
    const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    run("completion.woken", { op: "w1", routes: ["handler:x"] });
    const retry = { maxAttempts, baseDelayMs: 0, maxDelayMs: 0 };
    const input = { key: String(view?.generation), fence: 1, error: "broken", retry, random: 0 };
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
    run("completion.settle", { key: String(generation), fence: 1, error: "broken", retry, random: 0 });
    pass(6 * 86_400_000);
    expect(run("completion.status", {}).view?.delivery.state).toBe("dead");
    run(
      "completion.register",
      registration({ op: "again", fingerprint: "t", total: 1, restart: { from: generation } }),
    );
    run("completion.redeliver", { op: "r1" });
    const { claims } = run("completion.woken", { routes: ["handler:x"], retry });
    expect(claims).toMatchObject([{ generation, deliveryId: "msg_1", attempt: 2 }]);
    const fence = claims[0]?.fence ?? 0;
    run("completion.settle", { key: String(generation), fence, retry, random: 0 });
    run("completion.redeliver", { op: "r1" });
    expect(run("completion.woken", { routes: ["handler:x"], retry }).claims).toEqual("(empty)");
  });

  it("begins anew once the dead letters that filled the outbox are a week old", () => {
    const { run, pass } = bench();
    const retry = { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
    const restart = (n: number) =>
      run("completion.register", {
        ...registration({
          op: `r${n}`,
          fingerprint: `${n}`,
          total: 0,
          targets: { complete: TARGET },
          deliveryId: `msg_${n}`,
        }),
        ...{ ttlMs: 30 * 86_400_000, restart: {} },
      });
    for (let n = 1; n <= MAX_OUTBOX; n++) {
      expect(restart(n).outcome).toBe("created");
      run("completion.woken", { op: `w${n}`, routes: ["handler:x"], retry });
      const generation = run("completion.status", {}).view?.generation ?? 0;
      expect(
        run("completion.settle", { key: String(generation), fence: 1, error: "broken", retry, random: 0 }).settled,
      ).toBe(true);
    }
    expect(restart(17).outcome).toBe("outbox_full");
    pass(PENDING_MS - 1);
    expect(restart(18).outcome).toBe("outbox_full");
    pass(1);
    expect(restart(19).outcome).toBe("created");
    expect(restart(20).outcome).toBe("created");
  });

  it("begins no pause when nothing was queued, since the attempt is under way", () => {
    const { run } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    run("completion.woken", { op: "w", routes: [TARGET.route], leaseMs: 30_000 });
    const redeliver = (op: string) => run("completion.redeliver", { op, pauseMs: 60_000 }).retryAfterMs;
    expect([redeliver("r1"), redeliver("r2")]).toEqual([undefined, undefined]);
  });

  it("redelivers once a pause where the call names one; a copy of the last call is none", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const redeliver = (op: string, pauseMs?: number) => {
      const { view, retryAfterMs } = run("completion.redeliver", { op, ...(pauseMs === undefined ? {} : { pauseMs }) });
      expect(view?.delivery.state).toBe("pending");
      return retryAfterMs;
    };
    expect(redeliver("r1", 60_000)).toBeUndefined();
    pass(1_000);
    expect([redeliver("r1", 60_000), redeliver("r2", 60_000)]).toEqual([undefined, 59_000]);
    pass(58_999);
    expect(redeliver("r3", 60_000)).toBe(1);
    // A longer pause counts from the same call, and a call without one is never refused.
    expect(redeliver("r4", 120_000)).toBe(60_001);
    pass(1);
    expect([redeliver("r5", 60_000), redeliver("r6"), redeliver("r7", 60_000)]).toEqual([undefined, undefined, 60_000]);
    // The clock was set back: the pause is no longer than it was.
    pass(-3_600_000);
    expect(redeliver("r8", 60_000)).toBe(60_000);
    pass(3_660_000);
    expect(redeliver("r9", 60_000)).toBeUndefined();
  });

  it("redelivers once a call, what was delivered too", () => {
    const { run } = bench();
    const first = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const generation = first.view?.generation ?? 0;
    const retry = { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 };
    run("completion.woken", { routes: ["handler:x"] });
    run("completion.settle", { key: String(generation), fence: 1, retry, random: 0 });
    run("completion.redeliver", { op: "r1" });
    const { claims } = run("completion.woken", { routes: ["handler:x"] });
    run("completion.settle", { key: String(generation), fence: claims[0]?.fence ?? 0, retry, random: 0 });
    expect(run("completion.redeliver", { op: "r1" }).view?.delivery).toMatchObject({ state: "delivered", attempts: 2 });
    expect(run("completion.redeliver", { op: "r2" }).view?.delivery).toMatchObject({ state: "pending", attempts: 2 });
  });
});
