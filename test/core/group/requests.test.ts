import { describe, expect, it } from "vitest";
import { MAX_EARLY, MAX_EARLY_BODIES } from "../../../src/core/group/early-acks.js";
import { MAX_TASKS } from "../../../src/core/group/record.js";
import { MAX_STAGES } from "../../../src/core/group/stages.js";
import { seededRandom } from "../../../src/testing/index.js";
import { done, registered, requestBench, requestOf, TTL_MS } from "../request-bench.js";

const range = (n: number, prefix = "r", from = 0): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}${from + i}`);
/** An ack of a task that may not be announced yet. */
const early: typeof done = (op, id, more) => ({ ...done(op, id, more), earlyTtlMs: TTL_MS });

describe("a request", () => {
  it("row 15: counts a failure in the step that settles its task", () => {
    const { run, add, ack, isComplete } = registered();
    add("s", "a");
    expect(ack(done("m", "a", { error: "broken", processed: 0 }))).toMatchObject({
      verdict: "accepted",
      complete: true,
    });
    expect(isComplete()).toBe(true);
    expect(run("request.wait", {}).view).toMatchObject({
      failed: 1,
      errorCount: 1,
      errors: [{ taskId: "a", stage: "s", message: "broken" }],
      stages: [{ stage: "s", failed: 1, errors: 1 }],
    });
  });

  it("row 19: is pending until its first task has settled, or until it is sealed without any", () => {
    const first = registered();
    expect(first.isComplete()).toBe(false);
    first.add("s", "a");
    expect(first.isComplete()).toBe(false);
    first.run("request.ack", done("m", "a"));
    expect(first.isComplete()).toBe(true);
    const second = registered();
    second.run("request.seal", { op: "seal" });
    expect(second.view()).toMatchObject({ state: "completed", total: 0 });
    expect(second.isComplete()).toBe(true);
  });

  it("is complete again and again while it is not sealed, and ends with the seal", () => {
    const { run, add, ack, view, isComplete } = registered();
    for (const id of ["a", "b"]) {
      add("s", id);
      expect(isComplete()).toBe(false);
      expect(ack(done(id, id))).toMatchObject({ complete: true, state: "open", ended: false });
      expect(isComplete()).toBe(true);
    }
    run("request.seal", { op: "seal" });
    expect(view()).toMatchObject({ state: "completed", succeeded: 2, sealed: true });
  });

  it("row 33: is not completed by a task that has settled before it is announced", () => {
    const { add, ack, view, isComplete } = registered();
    expect(ack(done("m", "b"))).toMatchObject({ verdict: "early", complete: false });
    expect(isComplete()).toBe(false);
    expect(view()).toMatchObject({ total: 0, succeeded: 0 });
    add("s", "a");
    expect(isComplete()).toBe(false);
    expect(add("s", "b").letters).toBe("e");
    expect(view()).toMatchObject({ total: 2, succeeded: 1 });
    expect(ack(done("n", "a"))).toMatchObject({ complete: true });
  });

  it("row 20: tells the retry of every call what its first copy was told, however many came in between", () => {
    const { run, add, verdict, view } = registered();
    expect(verdict(done("op1", "a"))).toBe("early");
    expect(verdict(done("op1", "a"))).toBe("early");
    add("s", "a", "b");
    // The first copy was told so; by now the task has settled.
    expect(verdict(done("op1", "a"))).toBe("accepted");
    expect(verdict(done("op9", "a"))).toBe("duplicate");
    expect(view()?.stages).toMatchObject([{ processed: 1 }]);
    for (let i = 0; i < 5_000; i++) run("request.count", { op: `r${i}`, stage: "s", processed: 1 });
    expect(run("request.count", { op: "r0", stage: "s", processed: 1 }).verdict).toBe("accepted");
    expect(view()?.stages).toMatchObject([{ processed: 5_001 }]);
  });

  it("row 21: knows late copies of calls before its removal, and changes nothing in its next use by them", () => {
    const { run, pass, add, ack, verdict, view } = registered();
    const roots = { op: "roots", lists: [JSON.stringify(["s", "a"])] };
    run("request.add", roots);
    const first = verdict(done("late", "a"));
    run("request.count", { op: "record", stage: "s", processed: 5 });
    const before = view()?.generation ?? 0;
    run("request.remove", { op: "remove" });
    pass(1_000);
    run("request.register", requestOf("again"));
    add("s", "a", "b");
    expect(verdict(done("late", "a"))).toBe(first);
    expect(run("request.add", roots)).toMatchObject({ outcome: "added", letters: "n" });
    run("request.count", { op: "record", stage: "s", processed: 5 });
    expect(run("request.remove", { op: "remove" })).toEqual({ found: true });
    expect(run("request.register", requestOf("register")).outcome).toBe("exists");
    expect(view()).toMatchObject({ state: "open", remaining: 2, stages: [{ processed: 0 }] });
    expect(verdict(done("own", "a"))).toBe("accepted");
    expect(verdict({ ...done("deliverer", "b"), generation: before })).toBe("unknown");
    expect(ack({ ...done("deliverer", "b"), generation: view()?.generation ?? 0 })).toMatchObject({ complete: true });
  });

  it("row 21: begins no new use by a late copy of a registration, several uses later either", () => {
    const { run } = requestBench();
    for (const life of [1, 2, 3]) {
      run("request.register", requestOf(`r${life}`));
      run("request.remove", { op: `c${life}` });
    }
    for (const life of [1, 2, 3]) {
      expect(run("request.register", requestOf(`r${life}`))).toEqual({ outcome: "removed" });
    }
    expect(run("request.status", {})).toEqual("(empty)");
  });

  it("forgets the calls it knows after a minute", () => {
    const { run, pass, record } = registered();
    for (let i = 0; i < 500; i++) {
      pass(1_000);
      run("request.count", { op: `r${i}`, stage: "s", processed: 1 });
    }
    const known = Object.keys(record("request")?.members ?? {}).filter((name) => name.startsWith("x:"));
    expect(known.length).toBeLessThanOrEqual(61);
  });

  it("agrees with sets of tasks, whatever comes in whichever order", () => {
    for (let seed = 1; seed <= 300; seed++) agreesWithSets(seed);
  });
});

/** One random sequence of announcements, acks and seals. */
function agreesWithSets(seed: number): void {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const { run, add: announce, view } = registered();
  const [open, known] = [new Set<string>(), new Set<string>()];
  /** The acked tasks, with what each hands on to. */
  const closed = new Map<string, readonly string[]>();
  let [sealed, processed] = [false, 0];
  const isComplete = () => open.size === 0 && (known.size > 0 || sealed);
  const close = (next: readonly string[]): void => {
    processed++;
    next.forEach(add);
  };
  const add = (id: string): void => {
    if (known.has(id)) return;
    known.add(id);
    const next = closed.get(id);
    if (next === undefined) open.add(id);
    else close(next);
  };
  for (let i = 0; i < 40; i++) {
    const id = pick(["a", "b", "c", "d", "e"]);
    const isFinal = sealed && isComplete();
    const what = random();
    if (what < 0.35) {
      const { outcome, letters } = announce("s", id);
      const letter = known.has(id) ? "d" : closed.has(id) ? "e" : "n";
      const expected = isFinal ? ["late", undefined] : sealed ? ["sealed", undefined] : ["added", letter];
      expect([seed, i, outcome, letters]).toEqual([seed, i, ...expected]);
      if (!sealed) add(id);
    } else if (what < 0.95) {
      const next = random() < 0.3 ? [pick(["a", "b", "f"])] : [];
      run("request.ack", done(`op${i}`, id, next.length > 0 ? { next: [{ stage: "s", ids: next }] } : {}));
      if (!closed.has(id) && !isFinal) {
        closed.set(id, next);
        if (open.delete(id)) close(next);
      }
    } else {
      run("request.seal", { op: `seal${i}` });
      sealed = true;
    }
    const seen = view();
    const isOver = seen?.state === "completed" || (seen?.remaining === 0 && (seen.total > 0 || seen.sealed));
    expect([seed, i, isOver, seen?.remaining]).toEqual([seed, i, isComplete(), open.size]);
    expect(seen?.stages?.[0]?.processed ?? 0).toBe(processed);
  }
}

describe("the limits of a request", () => {
  it("has the stages of this use alone, and 64 of them, whatever those of the uses before were", () => {
    const { run, add, verdict, view } = registered();
    for (let i = 0; i < MAX_STAGES; i++) add(`old${i}`, "a");
    run("request.ack", done("m1", "a", { stage: "old63" }));
    run("request.remove", { op: "c1" });
    run("request.register", requestOf("r2"));
    expect(view()).not.toHaveProperty("stages");
    add("new", "a");
    add("old63", "a");
    for (const op of ["m1", "m1"]) expect(verdict(done(op, "a", { stage: "old63" }))).toBe("accepted");
    expect(view()).toMatchObject({ remaining: 2, stages: [{ stage: "new" }, { stage: "old63", processed: 0 }] });
    for (let i = 2; i < MAX_STAGES; i++) expect(add(`new${i}`, "a")).toMatchObject({ outcome: "added" });
    expect(add("one more", "a")).toMatchObject({ refused: "stages" });
    expect(view()?.stages).toHaveLength(MAX_STAGES);
  });

  it("refuses a task too many, announced or handed on, and writes nothing of the call", () => {
    const { run, record, add } = registered();
    for (let from = 0; from < MAX_TASKS - 1; from += 9_999) {
      add("s", ...range(Math.min(9_999, MAX_TASKS - 1 - from), "r", from));
    }
    const before = record("request");
    expect(add("t", "x", "y")).toEqual({ outcome: "unknown", refused: "tasks" });
    const next = [{ stage: "t", ids: ["x", "y"] }];
    expect(run("request.ack", done("op", "r0", { next }))).toEqual({ results: "(empty)", refused: "tasks" });
    expect(record("request")).toEqual(before);
    // One more is a task that was acked first: what it hands on to is one too many.
    run("request.ack", done("op2", "early", { next: [{ stage: "t", ids: ["x"] }] }));
    const held = record("request");
    expect(add("s", "early").refused).toBe("tasks");
    expect(record("request")).toEqual(held);
    expect(run("request.ack", done("op3", "r0")).results).toMatchObject([{ verdict: "accepted", complete: false }]);
  });

  it("counts a task that was acked first and announced afterwards once", () => {
    const { run, add, view } = registered();
    const ids = range(100);
    for (const id of ids) run("request.ack", done(id, id));
    expect(add("s", ...ids).letters).toBe("e".repeat(100));
    for (let from = 0; from < MAX_TASKS - ids.length; from += 9_990) {
      expect(add("s", ...range(9_990, "m", from)).outcome).toBe("added");
    }
    expect(view()?.total).toBe(MAX_TASKS);
    expect(add("s", "x").refused).toBe("tasks");
  });

  it("refuses a stage too many and a count out of range, and writes nothing of the call", () => {
    const { run, record, add } = registered();
    add("s0", "a");
    for (let i = 0; i < MAX_STAGES; i++) run("request.count", { op: `op${i}`, stage: `s${i}`, processed: 1e9 });
    const before = record("request");
    expect(run("request.count", { op: "x", stage: "more" }).refused).toBe("stages");
    expect(add("more", "a").refused).toBe("stages");
    expect(run("request.count", { op: "x", stage: "s0", processed: 1e12 }).refused).toBe("counts");
    expect(run("request.count", { op: "x", stage: "s0", requeued: 1e12 + 1 }).refused).toBe("counts");
    expect(run("request.ack", done("x", "a", { stage: "s0", processed: 1e12 })).refused).toBe("counts");
    expect(record("request")).toEqual(before);
  });

  it("row 23: shows the first 20 errors, keeps the first 1,000, and counts all", () => {
    const { run, record, view } = registered();
    for (let i = 0; i < 3_000; i++) run("request.count", { op: `op${i}`, stage: "s", error: `e${i}` });
    expect(view()).toMatchObject({ errorCount: 3_000, stages: [{ errors: 3_000 }] });
    expect(view()?.errors).toEqual(range(20, "e").map((message) => ({ stage: "s", message })));
    const names = Object.keys(record("request")?.members ?? {});
    expect(names.filter((name) => name.startsWith("e:"))).toHaveLength(1_000);
    // Two for each call of the last minute, and the stage with its name.
    expect(names).toHaveLength(1_000 + 6_000 + 3);
  });

  it("row 23: keeps nothing of settled tasks but a mark of constant size", () => {
    const { run, add, record } = registered();
    add("s", ...range(2_000));
    const size = () => JSON.stringify(record("request")).length;
    const before = size();
    for (const id of range(2_000)) run("request.ack", done("o".repeat(16), id));
    expect((size() - before) / 2_000).toBeLessThan(25);
  });

  it("row 66: keeps early acks in a room of their own, those that hand on in another", () => {
    const { add, verdict } = registered();
    const handing = (ids: number) => ({ next: [{ stage: "s", ids: range(ids, "n") }] });
    for (const id of range(MAX_EARLY_BODIES, "e")) expect(verdict(early(id, id, handing(9)))).toBe("early");
    expect(verdict(early("one more", "x", handing(1)))).toBe("unknown");
    for (const id of range(MAX_EARLY, "p")) expect(verdict(early(id, id))).toBe("early");
    expect(verdict(early("one more", "y"))).toBe("unknown");
    // Announced tasks have theirs, and give back what their acks took.
    expect(add("s", "e0", "p0").letters).toBe("ee");
    expect(verdict(early("more", "x", handing(1)))).toBe("early");
    expect(verdict(early("too many", "z", handing(1)))).toBe("unknown");
    expect(verdict(early("more plain", "y"))).toBe("early");
    expect(verdict(early("too many", "z"))).toBe("unknown");
  });
});
