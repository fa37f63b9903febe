import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/index.js";
import { bench, T0 } from "./bench.js";

const counts = (n: number) => ({ processed: n, requeueCount: 0, errorCount: 0 });

describe("the stats machine", () => {
  it("agrees with a plain list of ids, the oldest first, whatever comes in whichever order", () => {
    const TTL_MS = 1_000;
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const below = (n: number) => Math.floor(random() * n);
      const { run, pass, now, record } = bench();
      const maxTracked = 1 + below(4);
      let list: { id: string; n: number; untilMs: number }[] = [];
      for (let i = 0; i < 60; i++) {
        pass(below(400));
        const id = `id${below(6)}`;
        const alive = list.find((entry) => entry.id === id && entry.untilMs > now());
        if (random() < 0.7) {
          run("stats.merge", { op: `op${i}`, id, ...counts(1), maxTracked, ttlMs: TTL_MS });
          list = list.filter((entry) => entry.id !== id);
          while (list[0] !== undefined && (list[0].untilMs <= now() || list.length >= maxTracked)) list.shift();
          list.push({ id, n: (alive?.n ?? 0) + 1, untilMs: now() + TTL_MS });
        } else {
          const taken = run("stats.consume", { op: `op${i}`, id });
          expect([seed, i, taken]).toEqual([seed, i, alive === undefined ? "(empty)" : { counts: counts(alive.n) }]);
          if (alive !== undefined) list = list.filter((entry) => entry.id !== id);
        }
      }
      const members = Object.keys(record("stats")?.members ?? {}).filter((name) => name.startsWith("s:"));
      if (record("stats")?.untilMs !== undefined)
        expect(members.sort()).toEqual(list.map(({ id }) => `s:${id}`).sort());
    }
  });

  it("knows merges and consumptions that come again, however many came in between, and after the id was taken", () => {
    const { run } = bench();
    const merge = (op: string, id: string) =>
      run("stats.merge", { op, id, ...counts(1), maxTracked: 10, ttlMs: 600_000 });
    for (let i = 0; i < 2_000; i++) {
      merge(`m${i}`, "a");
      run("stats.consume", { op: `c${i}`, id: "a" });
    }
    merge("m0", "a");
    expect(run("stats.consume", { op: "c0", id: "a" })).toEqual({ counts: counts(1) });
    expect(run("stats.consume", { op: "new", id: "a" })).toEqual("(empty)");
  });

  it("lives longer than any of its ids, though they come with different times", () => {
    const { run, pass } = bench();
    const merge = (op: string, id: string, ttlMs: number) =>
      run("stats.merge", { op, id, ...counts(1), maxTracked: 10, ttlMs });
    merge("1", "short", 1_000);
    merge("2", "long", 600_000);
    pass(100);
    merge("3", "short", 1_000);
    pass(599_000);
    expect(run("stats.consume", { op: "4", id: "short" })).toEqual("(empty)");
    expect(run("stats.consume", { op: "5", id: "long" })).toEqual({ counts: counts(1) });
  });
});

describe("the coalesce machine", () => {
  it("issues versions that grow within a millisecond, and begin at the server's time", () => {
    const { run, pass } = bench();
    const next = (op: string) => run("coalesce.next", { op, ttlMs: 1_000 }).version;
    expect([next("a"), next("b"), next("a")]).toEqual([T0, T0 + 1, T0]);
    pass(10);
    expect(next("c")).toBe(T0 + 10);
  });

  it("a late copy of a call that issued a version makes no other stale", () => {
    const { run, pass } = bench();
    const { version } = run("coalesce.next", { op: "a", ttlMs: 1_000 });
    pass(5);
    run("coalesce.next", { op: "a", ttlMs: 1_000 });
    expect(run("coalesce.seen", { version, ttlMs: 1_000 })).toEqual({ stale: false });
  });
});

describe("row 63: versions that run ahead of the clock", () => {
  it("are outlived by their record, so that a later version is above all of them", () => {
    const { run, pass } = bench();
    const next = (op: string, held = false) =>
      run("coalesce.next", { op, ttlMs: 1_000, ...(held ? { held } : {}) }).version;
    for (let i = 0; i < 9_000; i++) next(`op${i}`);
    expect(next("newest")).toBe(T0 + 9_000);
    pass(9_999);
    expect(next("later")).toBeGreaterThan(T0 + 9_000);
    expect(run("coalesce.seen", { version: T0 + 9_000, ttlMs: 1_000 })).toEqual({ stale: true });
    // Versions that were reserved alone count as well: one of them may have been sent.
    for (let i = 0; i < 50_000; i++) next(`held${i}`, true);
    pass(41_000);
    expect(next("last")).toBeGreaterThan(T0 + 59_000);
  });

  it("are forgotten with their record, once the clock has passed them", () => {
    const { run, pass, record } = bench();
    for (let i = 0; i < 100; i++) run("coalesce.next", { op: `op${i}`, ttlMs: 1_000 });
    expect(record("coalesce")?.untilMs).toBe(T0 + 99 + 1_000);
    pass(1_099);
    expect(run("coalesce.next", { op: "new", ttlMs: 1_000 }).version).toBe(T0 + 1_099);
  });
});

describe("the coalesce machine under load", () => {
  it("knows a late copy of a call that issued a version, however many came in between", () => {
    const { run, pass } = bench();
    const next = (op: string) => run("coalesce.next", { op, ttlMs: 600_000 }).version;
    const first = next("a");
    let newest = first;
    for (let i = 0; i < 2_000; i++) {
      pass(1);
      newest = next(`op${i}`);
    }
    expect(next("a")).toBe(first);
    expect(run("coalesce.seen", { version: newest, ttlMs: 1_000 })).toEqual({ stale: false });
  });
});

describe("the dedupe machine", () => {
  it("knows late copies of what is over, however many claims and releases came in between", () => {
    const { run, record } = bench();
    const claim = (op: string) => run("dedupe.claim", { op, ttlMs: 600_000 }).claimed;
    expect(claim("a")).toBe(true);
    expect(Object.keys(record("dedupe")?.members ?? {})).toEqual([]);
    run("dedupe.release", { op: "r", holder: "a" });
    for (let i = 0; i < 500; i++) {
      claim(`c${i}`);
      run("dedupe.release", { op: `r${i}` });
    }
    claim("held");
    expect(claim("a")).toBe(true);
    expect(run("dedupe.release", { op: "r" })).toEqual({ released: true });
    expect(claim("other")).toBe(false);
  });

  it("a late copy of a claim that was released claims nothing, and of a release frees nothing", () => {
    const { run } = bench();
    run("dedupe.claim", { op: "a", ttlMs: 1_000 });
    run("dedupe.release", { op: "r", holder: "a" });
    expect(run("dedupe.claim", { op: "a", ttlMs: 1_000 })).toEqual({ claimed: true });
    expect(run("dedupe.claim", { op: "b", ttlMs: 1_000 })).toEqual({ claimed: true });
    expect(run("dedupe.release", { op: "r" })).toEqual({ released: true });
    expect(run("dedupe.claim", { op: "c", ttlMs: 1_000 })).toEqual({ claimed: false });
  });

  it("ends a window at the first claim's time, whatever claims come in between", () => {
    const { run, pass } = bench();
    run("dedupe.claim", { op: "a", ttlMs: 1_000 });
    pass(999);
    expect(run("dedupe.claim", { op: "b", ttlMs: 1_000 })).toEqual({ claimed: false });
    pass(1);
    expect(run("dedupe.claim", { op: "b", ttlMs: 1_000 })).toEqual({ claimed: true });
  });

  it("gives a claim after a release a window of its own", () => {
    const { run, pass } = bench();
    run("dedupe.claim", { op: "a", ttlMs: 1_000 });
    pass(900);
    run("dedupe.release", { op: "r" });
    run("dedupe.claim", { op: "b", ttlMs: 1_000 });
    pass(900);
    expect(run("dedupe.claim", { op: "c", ttlMs: 1_000 })).toEqual({ claimed: false });
  });
});
