import { describe, expect, it } from "vitest";
import { MAX_CALLERS, MAX_ERRORS, MAX_ROOTS, MAX_STAGES } from "../../src/core/request/record.js";
import { seededRandom } from "../../src/testing/index.js";
import { bench, T0 } from "./bench.js";

const TTL_MS = 600_000;
/** Makes every call one of its own. */
let fresh = 0;
const mark = (op: string, root: string, more: object = {}) => ({ op, stage: "s", root, processed: 1, ...more });

function registered() {
  const b = bench();
  b.run("request.register", { op: "register", ttlMs: TTL_MS });
  return { ...b, untilMs: () => b.record("request")?.untilMs };
}

describe("the request machine", () => {
  it("keeps a request while a caller waits, and extends its TTL every quarter of the TTL at most", () => {
    const { run, pass, untilMs } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a"] });
    for (let i = 0; i < 20; i++) {
      const { ready, recheckInMs } = run("request.wait", {});
      expect(ready).toBe(false);
      expect(recheckInMs).toBe(TTL_MS / 4);
      pass(TTL_MS / 4 - 1);
      const before = untilMs();
      run("request.wait", {});
      expect(untilMs()).toBe(before);
      pass(1);
    }
    expect(run("request.mark", mark("op", "a"))).toMatchObject({ verdict: "accepted", complete: true });
  });

  it("forgets a request after its TTL when no call writes or follows, even when callers read it", () => {
    const { run, pass } = registered();
    for (let i = 0; i < 10; i++) {
      pass(TTL_MS / 10 - 1);
      expect(run("request.status", {}).view).toBeDefined();
    }
    pass(10);
    expect(run("request.status", {})).toEqual("(empty)");
    expect(run("request.wait", {})).toMatchObject({ ready: true });
  });

  it("row 55: is kept by a caller that follows its progress, as by one that waits", () => {
    const { run, pass, untilMs, record } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a"] });
    const { version } = run("request.progress", { after: 0 });
    for (let i = 0; i < 20; i++) {
      const before = record("request");
      pass(TTL_MS / 4 - 1);
      // Whether it has news or not.
      expect(run("request.progress", { after: i % 2 === 0 ? version : 0 }).ready).toBe(i % 2 !== 0);
      expect(record("request")).toEqual(before);
      pass(1);
      expect(run("request.progress", { after: version })).toMatchObject({ ready: false, recheckInMs: 1_000 });
      expect(untilMs()).toBe(T0 + ((i + 1) * TTL_MS) / 4 + TTL_MS);
    }
    expect(run("request.mark", mark("op", "a"))).toMatchObject({ verdict: "accepted", complete: true });
  });

  it("row 55: is looked at often enough to be kept, though it lives for a second", () => {
    const { run, pass } = bench();
    run("request.register", { op: "register", ttlMs: 1_000 });
    const { version } = run("request.progress", { after: 0 });
    for (let i = 0; i < 20; i++) {
      const { ready, recheckInMs = 0 } = run("request.progress", { after: version });
      expect([i, ready, recheckInMs]).toEqual([i, false, 250]);
      pass(recheckInMs);
    }
  });

  it.each(["request.wait", "request.progress"] as const)(
    "is kept by its followers alone for 30 days after its last change (%s)",
    (transition) => {
      const { run, pass, now } = bench();
      const DAY_MS = 86_400_000;
      run("request.register", { op: "register", ttlMs: DAY_MS });
      const { version } = run("request.progress", { after: 0 });
      let looks = 0;
      for (;;) {
        const { view, ready, recheckInMs = 0 } = run(transition, { after: version });
        if (ready && view === undefined) break;
        expect(recheckInMs).toBeGreaterThan(0);
        pass(transition === "request.wait" ? recheckInMs : 3_600_000);
        looks++;
      }
      expect(now()).toBeGreaterThanOrEqual(T0 + 30 * DAY_MS);
      expect(now()).toBeLessThanOrEqual(T0 + 31 * DAY_MS + 3_600_000);
      expect(looks).toBeLessThan(800);
    },
  );

  it("row 63: has versions above those of a record that has expired, though they ran ahead of the clock", () => {
    const { run, pass, record } = bench();
    run("request.register", { op: "register", ttlMs: 1_000 });
    for (let i = 0; i < 9_000; i++) run("request.record", { op: `r${i}`, stage: "s", processed: 1 });
    const versionOf = () => run("request.status", {}).view?.version ?? 0;
    const version = versionOf();
    expect(version).toBe(T0 + 9_000);
    pass(9_999);
    expect(versionOf()).toBe(version);
    pass(1);
    run("request.register", { op: "again", ttlMs: 1_000 });
    expect(versionOf()).toBeGreaterThan(version);
    // So does one that was cleaned up: for a minute after its last version.
    for (let i = 0; i < 500; i++) run("request.record", { op: `s${i}`, stage: "s", processed: 1 });
    const last = versionOf();
    run("request.cleanup", { op: "cleanup" });
    expect(record("request")?.untilMs).toBe(last + 60_000);
  });

  it("puts its end off by writes too, every quarter of its time at most", () => {
    const { run, pass, untilMs } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a"] });
    pass(TTL_MS / 4 - 1);
    run("request.record", { op: "r1", stage: "s", processed: 1 });
    expect(untilMs()).toBe(T0 + TTL_MS);
    pass(1);
    run("request.record", { op: "r2", stage: "s", processed: 1 });
    expect(untilMs()).toBe(T0 + TTL_MS / 4 + TTL_MS);
  });

  it("keeps a complete one for its whole time, counted from the end", () => {
    const { run, pass, untilMs } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a"] });
    pass(1_000);
    run("request.mark", mark("op", "a"));
    expect(untilMs()).toBe(T0 + 1_000 + TTL_MS);
  });

  it("lets waiters read the end of one that was cleaned up for a minute, and then nothing is left", () => {
    const { run, pass, record } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a", "b"] });
    run("request.mark", mark("op1", "a", { error: "broken", processed: 0 }));
    run("request.mark", mark("op2", "b"));
    const view = run("request.wait", {});
    expect(run("request.cleanup", { op: "cleanup" })).toEqual({ found: true });
    expect(run("request.wait", {})).toEqual(view);
    expect(run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["c"] })).toEqual({ verdict: "unknown" });
    // A minute after its last version, which ran ahead of the clock by a few milliseconds.
    pass(60_010);
    expect(run("request.wait", {})).toMatchObject({ ready: true });
    expect(record("request")).toBeUndefined();
  });

  it("tells the retry of every call what its first copy was told, however many came in between", () => {
    const { run } = registered();
    const early = run("request.mark", mark("op1", "a"));
    expect(early).toEqual({ verdict: "early", complete: false });
    expect(run("request.mark", mark("op1", "a"))).toEqual(early);
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a", "b"] });
    expect(run("request.mark", mark("op1", "a"))).toEqual(early);
    expect(run("request.mark", mark("op9", "a")).verdict).toBe("duplicate");
    const processed = () => run("request.status", {}).view?.stages[0]?.processed;
    for (let i = 0; i < 5_000; i++) run("request.record", { op: `r${i}`, stage: "s", processed: 1 });
    expect(run("request.record", { op: "r0", stage: "s", processed: 1 }).verdict).toBe("accepted");
    expect(processed()).toBe(5_001);
  });

  it("knows late copies of calls of an earlier life of the id, and changes nothing in the next by them", () => {
    const { run, pass } = registered();
    const roots = { op: "roots", stage: "s", roots: ["a"] };
    run("request.roots", roots);
    const first = run("request.mark", mark("late", "a"));
    run("request.record", { op: "record", stage: "s", processed: 5 });
    run("request.cleanup", { op: "cleanup" });
    pass(1_000);
    run("request.register", { op: "again", ttlMs: TTL_MS });
    run("request.roots", { op: "others", stage: "s", roots: ["a", "b"] });
    expect(run("request.mark", mark("late", "a")).verdict).toBe(first.verdict);
    expect(run("request.roots", roots).verdict).toBe("accepted");
    run("request.record", { op: "record", stage: "s", processed: 5 });
    expect(run("request.cleanup", { op: "cleanup" })).toEqual({ found: true });
    expect(run("request.register", { op: "register", ttlMs: TTL_MS }).verdict).toBe("accepted");
    const { view } = run("request.status", {});
    expect([view?.complete, view?.open, view?.stages[0]?.processed]).toEqual([false, 2, 0]);
    expect(run("request.mark", mark("own", "a")).verdict).toBe("accepted");
    expect(run("request.mark", { ...mark("deliverer", "b"), begunBeforeMs: T0 + 999 }).verdict).toBe("unknown");
    expect(run("request.mark", { ...mark("deliverer", "b"), begunBeforeMs: T0 + 1_000 }).complete).toBe(true);
  });

  it("has the stages of this life alone, and 64 of them, whatever those of the lives before were", () => {
    const { run } = registered();
    const roots = (stage: string) => run("request.roots", { op: `roots${fresh++}`, stage, roots: ["a"] });
    const stages = () => run("request.status", {}).view?.stages;
    for (let i = 0; i < MAX_STAGES; i++) roots(`old${i}`);
    run("request.mark", mark("m1", "a", { stage: "old63" }));
    run("request.cleanup", { op: "c1" });
    run("request.register", { op: "r2", ttlMs: TTL_MS });
    expect(stages()).toEqual("(empty)");
    // Known to be of the life before, though its stage has another place here, or none.
    roots("new");
    roots("old63");
    for (const op of ["m1", "m1"])
      expect(run("request.mark", mark(op, "a", { stage: "old63" })).verdict).toBe("accepted");
    expect(run("request.status", {}).view).toMatchObject({ open: 2, stages: [{ name: "new" }, { processed: 0 }] });
    for (let i = 2; i < MAX_STAGES; i++) expect(roots(`new${i}`)).toMatchObject({ verdict: "accepted" });
    expect(roots("one more")).toMatchObject({ refused: "stages" });
    expect(stages()).toHaveLength(MAX_STAGES);
  });

  it("begins no new life by a late copy of a registration, several lives later either", () => {
    const { run } = bench();
    for (const life of [1, 2, 3]) {
      run("request.register", { op: `r${life}`, ttlMs: TTL_MS });
      run("request.cleanup", { op: `c${life}` });
    }
    for (const life of [1, 2, 3]) {
      expect(run("request.register", { op: `r${life}`, ttlMs: TTL_MS })).toEqual({ verdict: "unknown" });
    }
    expect(run("request.status", {})).toEqual("(empty)");
  });

  it("row 74: ends a request once, when its last caller abandons it; copies of the call change nothing", () => {
    const { run, record } = registered();
    const abandon = (op: string, caller: string) => run("request.abandon", { op, caller, stage: "s", error: "failed" });
    run("request.register", { op: "second", ttlMs: TTL_MS });
    run("request.register", { op: "second", ttlMs: TTL_MS });
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["a"] });
    const before = structuredClone(record("request"));
    expect(abandon("x", "stranger")).toEqual({ verdict: "duplicate", complete: false });
    expect(record("request")).toEqual(before);
    expect(abandon("a1", "register")).toEqual({ verdict: "duplicate", complete: false });
    for (const op of ["a1", "again"])
      expect(abandon(op, "register")).toEqual({ verdict: "duplicate", complete: false });
    for (let i = 0; i < 2; i++) expect(abandon("a2", "second")).toEqual({ verdict: "accepted", complete: true });
    expect(abandon("a3", "second")).toEqual({ verdict: "late", complete: true });
    expect(run("request.status", {}).view).toMatchObject({ open: 0, errors: [{ stage: "s", message: "failed" }] });
    // Late copies of the registrations begin no life.
    expect(run("request.register", { op: "register", ttlMs: TTL_MS })).toEqual({ verdict: "accepted", complete: true });
    expect(run("request.register", { op: "second", ttlMs: TTL_MS })).toEqual({ verdict: "duplicate", complete: true });
    expect(run("request.register", { op: "third", ttlMs: TTL_MS })).toEqual({ verdict: "accepted", complete: false });
    for (const op of ["a2", "late"]) abandon(op, "second");
    expect(run("request.register", { op: "second", ttlMs: TTL_MS })).toEqual({ verdict: "duplicate", complete: false });
    expect(run("request.status", {}).view).toMatchObject({ complete: false, errors: "(empty)" });
  });

  it("row 74: stays, with more callers than are known by name", () => {
    const { run } = bench();
    const callers = Array.from({ length: MAX_CALLERS + 3 }, (_, i) => `caller${i}`);
    for (const op of callers) run("request.register", { op, ttlMs: TTL_MS });
    for (const caller of callers) run("request.abandon", { op: `of ${caller}`, caller, stage: "s", error: "failed" });
    expect(run("request.status", {}).view).toMatchObject({ complete: false });
  });

  it("has versions that grow from life to life, within one instant too", () => {
    const { run } = bench();
    const versions: number[] = [];
    // More lives in a row than are known.
    for (let life = 1; life <= 20; life++) {
      run("request.register", { op: `r${life}`, ttlMs: 60_000 });
      versions.push(run("request.status", {}).view?.version ?? 0);
      run("request.cleanup", { op: `c${life}` });
    }
    expect(versions).toEqual(Array.from(versions, (_, i) => (versions[0] ?? 0) + i));
  });

  it("forgets the calls it knows after a minute", () => {
    const { run, pass, record } = registered();
    for (let i = 0; i < 500; i++) {
      pass(1_000);
      run("request.record", { op: `r${i}`, stage: "s", processed: 1 });
    }
    const known = Object.keys(record("request")?.members ?? {}).filter((name) => name.startsWith("x:"));
    expect(known.length).toBeLessThanOrEqual(61);
  });

  it("refuses a root too many, in its own list or handed on, and writes nothing of the call", () => {
    const { run, record } = registered();
    const many = (from: number, n: number) => Array.from({ length: n }, (_, i) => `r${from + i}`);
    for (let from = 0; from < MAX_ROOTS - 1; from += 9_999) {
      run("request.roots", {
        op: `roots${fresh++}`,
        stage: "s",
        roots: many(from, Math.min(9_999, MAX_ROOTS - 1 - from)),
      });
    }
    const before = record("request");
    expect(run("request.roots", { op: `roots${fresh++}`, stage: "t", roots: ["x", "y"] })).toEqual({
      verdict: "unknown",
      refused: "roots",
    });
    const next = [{ stage: "t", roots: ["x", "y"] }];
    expect(run("request.mark", mark("op", "r0", { next })).refused).toBe("roots");
    expect(record("request")).toEqual(before);
    // One more is a root that was marked first: what it hands on to is one too many.
    expect(run("request.mark", mark("op2", "early", { next: [{ stage: "t", roots: ["x"] }] })).verdict).toBe("early");
    const held = record("request");
    expect(run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["early"] }).refused).toBe("roots");
    expect(record("request")).toEqual(held);
    expect(run("request.mark", mark("op3", "r0"))).toEqual({ verdict: "accepted", complete: false });
  });

  it("counts a root that was marked first and registered afterwards once", () => {
    const { run } = registered();
    const roots = Array.from({ length: MAX_ROOTS / 1_000 }, (_, i) => `r${i}`);
    for (const root of roots) run("request.mark", mark(root, root));
    run("request.roots", { op: `roots${fresh++}`, stage: "s", roots });
    const more = (from: number) => Array.from({ length: 9_990 }, (_, i) => `m${from + i}`);
    for (let from = 0; from < MAX_ROOTS - roots.length; from += 9_990) {
      expect(run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: more(from) }).verdict).toBe("accepted");
    }
    expect(run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ["x"] }).refused).toBe("roots");
  });

  it("refuses a stage too many and a count out of range, and writes nothing of the call", () => {
    const { run, record } = registered();
    run("request.roots", { op: `roots${fresh++}`, stage: "s0", roots: ["a"] });
    for (let i = 0; i < MAX_STAGES; i++) run("request.record", { op: `op${i}`, stage: `s${i}`, processed: 1e9 });
    const before = record("request");
    expect(run("request.record", { op: "x", stage: "more" }).refused).toBe("stages");
    expect(run("request.roots", { op: `roots${fresh++}`, stage: "more", roots: ["a"] }).refused).toBe("stages");
    expect(run("request.mark", { op: "x", stage: "more", root: "a", processed: 1 }).refused).toBe("stages");
    expect(run("request.record", { op: "x", stage: "s0", processed: 1e12 }).refused).toBe("counts");
    expect(run("request.mark", { op: "x", stage: "s0", root: "a", processed: 1e12 }).refused).toBe("counts");
    expect(record("request")).toEqual(before);
  });

  it("keeps the first hundred errors, and counts all", () => {
    const { run, record } = registered();
    for (let i = 0; i < 3_000; i++) run("request.record", { op: `op${i}`, stage: "s", error: `e${i}` });
    const { view } = run("request.status", {});
    expect(view?.stages[0]?.errorCount).toBe(3_000);
    expect(view?.errors).toHaveLength(MAX_ERRORS);
    expect(Object.keys(record("request")?.members ?? {})).toHaveLength(MAX_ERRORS + 6_000);
  });

  it("agrees with sets of roots, whatever comes in whichever order", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const { run } = registered();
      const [open, known] = [new Set<string>(), new Set<string>()];
      /** The marked roots, with what each hands on to. */
      const closed = new Map<string, readonly string[]>();
      let [sealed, processed] = [false, 0];
      const isComplete = () => open.size === 0 && (known.size > 0 || sealed);
      const close = (next: readonly string[]): void => {
        processed++;
        next.forEach(add);
      };
      const add = (root: string): void => {
        if (known.has(root)) return;
        known.add(root);
        const next = closed.get(root);
        if (next === undefined) open.add(root);
        else close(next);
      };
      for (let i = 0; i < 40; i++) {
        const root = pick(["a", "b", "c", "d", "e"]);
        const isFinal = sealed && isComplete();
        const what = random();
        if (what < 0.35) {
          const { verdict } = run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: [root] });
          const told = known.has(root) ? "duplicate" : isFinal ? "late" : sealed ? "sealed" : "accepted";
          expect([seed, i, verdict]).toEqual([seed, i, told]);
          if (!sealed) add(root);
        } else if (what < 0.95) {
          const next = random() < 0.3 ? [pick(["a", "b", "f"])] : [];
          const more = next.length > 0 ? { next: [{ stage: "s", roots: next }] } : {};
          run("request.mark", mark(`op${i}`, root, more));
          if (!closed.has(root) && !isFinal) {
            closed.set(root, next);
            if (open.delete(root)) close(next);
          }
        } else {
          run("request.seal", { op: `seal${i}` });
          sealed = true;
        }
        const { view } = run("request.status", {});
        expect([seed, i, view?.complete, view?.open]).toEqual([seed, i, isComplete(), open.size]);
        expect(view?.stages[0]?.processed ?? 0).toBe(processed);
      }
    }
  });

  describe("row 66: a request that is sealed", () => {
    const sealed = () => {
      const b = registered();
      b.run("request.roots", { op: "roots", stage: "s", roots: ["a", "b"] });
      b.run("request.seal", { op: "seal" });
      return b;
    };
    const roots = (b: ReturnType<typeof bench>, ...ids: string[]) =>
      b.run("request.roots", { op: `roots${fresh++}`, stage: "s", roots: ids });

    it("takes no new roots while it is pending, and changes nothing", () => {
      const b = sealed();
      const before = b.record("request");
      expect(roots(b, "c")).toEqual({ verdict: "sealed", complete: false });
      expect(roots(b, "a", "c")).toEqual({ verdict: "sealed", complete: false });
      expect(b.run("request.roots", { op: "x", stage: "another", roots: ["c"] }).verdict).toBe("sealed");
      expect(b.record("request")).toEqual(before);
      expect(roots(b, "a", "b")).toEqual({ verdict: "duplicate", complete: false });
      // A copy of a call from before the seal gets the same answer again.
      expect(b.run("request.roots", { op: "roots", stage: "s", roots: ["a", "b"] }).verdict).toBe("accepted");
      b.run("request.mark", mark("m1", "a"));
      b.run("request.mark", mark("m2", "b"));
      expect(roots(b, "c")).toEqual({ verdict: "late", complete: true });
    });

    it("takes the roots that a root hands on to, once, and theirs", () => {
      const b = sealed();
      const next = [{ stage: "t", roots: ["a"] }];
      expect(b.run("request.mark", mark("m1", "a", { next }))).toEqual({ verdict: "accepted", complete: false });
      b.run("request.mark", mark("m2", "a", { next: [{ stage: "t", roots: ["other"] }] }));
      b.run("request.mark", mark("m3", "b"));
      expect(b.run("request.status", {}).view).toMatchObject({ complete: false, open: 1 });
      const last = mark("m4", "a", { stage: "t", next: [{ stage: "u", roots: ["a"] }] });
      expect(b.run("request.mark", last).complete).toBe(false);
      expect(b.run("request.mark", mark("m5", "a", { stage: "u" })).complete).toBe(true);
    });

    it("gets no roots and no counts from the mark of an unregistered root", () => {
      const b = sealed();
      const stray = { processed: 7, next: [{ stage: "s", roots: ["c", "d"] }] };
      expect(b.run("request.mark", mark("stray", "x", stray))).toEqual({ verdict: "early", complete: false });
      expect(b.run("request.mark", mark("failed", "y", { processed: 0, error: "broken" })).verdict).toBe("early");
      expect(b.run("request.status", {}).view).toMatchObject({
        open: 2,
        stages: [{ processed: 0, errorCount: 0 }],
        errors: "(empty)",
      });
      b.run("request.mark", mark("m1", "a"));
      expect(b.run("request.mark", mark("m2", "b"))).toEqual({ verdict: "accepted", complete: true });
      expect(b.run("request.status", {}).view?.stages).toMatchObject([{ processed: 2 }]);
    });

    it("takes what an early mark hands on to once a root that counts announces the marked one", () => {
      const b = sealed();
      const next = [{ stage: "t", roots: ["c", "d"] }];
      b.run("request.mark", mark("early", "x", { processed: 7, next }));
      b.run("request.mark", mark("early2", "d", { stage: "t", processed: 0, error: "broken" }));
      const handOn = mark("m1", "a", { next: [{ stage: "s", roots: ["x"] }] });
      expect(b.run("request.mark", handOn)).toEqual({ verdict: "accepted", complete: false });
      // b, and c in stage t.
      expect(b.run("request.status", {}).view).toMatchObject({
        open: 2,
        stages: [
          { name: "s", processed: 8 },
          { name: "t", errorCount: 1 },
        ],
        errors: [{ stage: "t", message: "broken" }],
      });
      expect(b.run("request.mark", mark("early", "x", { processed: 7, next })).verdict).toBe("early");
      b.run("request.mark", mark("m2", "b"));
      expect(b.run("request.mark", mark("m3", "c", { stage: "t" })).complete).toBe(true);
    });
  });

  it("row 66: adds what a chain of early marks hands on to in one step", () => {
    const { run } = registered();
    const LENGTH = 3_000;
    for (let i = LENGTH; i > 0; i--) {
      const next = i === LENGTH ? {} : { next: [{ stage: "s", roots: [`r${i + 1}`] }] };
      run("request.mark", mark(`op${i}`, `r${i}`, next));
    }
    expect(run("request.status", {}).view).toMatchObject({ complete: false, open: 0 });
    expect(run("request.roots", { op: "roots", stage: "s", roots: ["r1"] }).complete).toBe(true);
    expect(run("request.status", {}).view?.stages).toMatchObject([{ processed: LENGTH }]);
  });

  it("row 66: keeps early marks in a room of their own, with what they hand on to", () => {
    const { run } = registered();
    const handing = (roots: number) => ({
      next: [{ stage: "s", roots: Array.from({ length: roots }, (_, i) => `n${i}`) }],
    });
    for (let i = 0; i < 9; i++)
      expect(run("request.mark", mark(`op${i}`, `e${i}`, handing(999))).verdict).toBe("early");
    for (let i = 0; i < 1_000; i++) expect(run("request.mark", mark(`p${i}`, `p${i}`)).verdict).toBe("early");
    expect(run("request.mark", mark("one more", "x"))).toEqual({ verdict: "unknown", refused: "early" });
    // Registered roots have theirs, and give back what their marks took.
    expect(run("request.roots", { op: "roots", stage: "s", roots: ["e0"] }).verdict).toBe("accepted");
    expect(run("request.mark", mark("more", "y", handing(998))).verdict).toBe("early");
    expect(run("request.mark", mark("one more", "x"))).toEqual({ verdict: "early", complete: false });
    expect(run("request.mark", mark("too many", "z")).refused).toBe("early");
  });
});
