import { describe, expect, it } from "vitest";
import { MAX_DECREMENTS } from "../../../src/core/group/acks.js";
import { bench, registration, TARGET } from "../bench.js";

describe("row 65: a decrement", () => {
  it("that names its generation counts in no other", () => {
    const { run } = bench();
    const first = run("completion.register", registration({ total: 3 })).view?.generation ?? 0;
    const call = { op: "message-1", by: 1, generation: first };
    expect(run("completion.decrement", call)).toEqual({ remaining: 2 });
    run("completion.register", registration({ op: "again", fingerprint: "t", total: 3, restart: { from: first } }));
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
    run("completion.settle", { key: String(generation), fence: 1, retry, random: 0 });
    expect(run("completion.redeliver", { op: "r1", generation: generation - 1 }).view?.delivery.state).toBe(
      "delivered",
    );
    expect(run("completion.redeliver", { op: "r1", generation }).view?.delivery.state).toBe("pending");
  });
});
