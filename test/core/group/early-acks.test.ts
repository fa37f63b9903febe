import { describe, expect, it } from "vitest";
import { MAX_EARLY, MAX_EARLY_BODIES } from "../../../src/core/group/early-acks.js";
import { ack, type Bench, bench, registration, T0 } from "../bench.js";

describe("acks before the registration", () => {
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
});

describe("row 64: early acks that count no more", () => {
  const early = (b: Bench, id: string, more: object = {}) =>
    b.run("completion.ack", { ...ack(id), tasks: [{ id, ...more }] }).results[0]?.verdict;
  const fill = (b: Bench, count: number, label = "t", more: object = {}) => {
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
    expect(before?.head).toMatchObject({ fields: { early: { plain: { fullUntilMs: T0 + 300_000 } } } });
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
