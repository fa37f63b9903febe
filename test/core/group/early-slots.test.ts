import { describe, expect, it } from "vitest";
import { MAX_EARLY_BODIES } from "../../../src/core/group/early-acks.js";
import { ack, type Bench, bench, listed, open, verdicts } from "../bench.js";

const RANGE = Array.from({ length: MAX_EARLY_BODIES }, (_, i) => `t${i}`);
const early = (b: Bench, id: string, more: object = { result: "1" }) =>
  b.run("completion.ack", { ...ack(`op ${id}`), tasks: [{ id, ...more }] }).results[0]?.verdict;
const add = (b: Bench, ...ids: string[]) =>
  b.run("completion.add", { op: `add ${ids[0]} ${ids.length}`, ...listed(ids) }).letters;
const view = ({ run }: Bench) => run("completion.status", {}).view;

describe("early acks in an open group", () => {
  const full = (more: object) => {
    const b = bench();
    b.run("completion.register", open([]));
    const tasks = RANGE.map((id) => ({ id, ...more }));
    b.run("completion.ack", { ...ack("all"), tasks });
    expect(early(b, "one more")).toBe("unknown");
    return b;
  };

  it("give their room back when their tasks are announced, one by one", () => {
    const b = full({ result: "1" });
    for (const id of ["t7", "t500"]) {
      expect(add(b, id)).toBe("e");
      expect(early(b, `instead of ${id}`)).toBe("early");
      expect(early(b, "one more")).toBe("unknown");
    }
    expect(add(b, ...RANGE)).toHaveLength(MAX_EARLY_BODIES);
    expect(view(b)).toMatchObject({ total: MAX_EARLY_BODIES, succeeded: MAX_EARLY_BODIES });
    expect(add(b, "instead of t7", "instead of t500", "one more")).toBe("een");
  });

  it("that failed leave their room to a restart in place, and count in no later epoch", () => {
    const b = full({ error: "broken" });
    b.run("completion.register", open([], { op: "again", fingerprint: "f", restart: { keep: "succeeded" } }));
    for (const id of RANGE) expect(early(b, `new ${id}`)).toBe("early");
    expect(early(b, "one more")).toBe("unknown");
    expect(add(b, "t0", "new t0")).toBe("ne");
    expect(view(b)).toMatchObject({ total: 2, succeeded: 1, failed: 0 });
    // A late copy of the call that failed changes nothing.
    const before = view(b);
    b.run("completion.ack", { ...ack("all"), tasks: [{ id: "t0", error: "broken" }] });
    expect(view(b)).toEqual(before);
  });

  it("that succeeded stay through a restart in place, and take room there", () => {
    const b = full({ result: "1" });
    b.run("completion.register", open([], { op: "again", fingerprint: "f", restart: { keep: "succeeded" } }));
    expect(early(b, "one more")).toBe("unknown");
    expect(add(b, "t0")).toBe("e");
    expect(view(b)).toMatchObject({ total: 1, succeeded: 1 });
  });
});

describe("rule 8: the mark of a task that is tried again", () => {
  const failed = () => {
    const b = bench();
    b.run("completion.register", open(["a", "b"]));
    b.run("completion.ack", { ...ack("first"), tasks: [{ id: "a", error: "broken" }] });
    b.run("completion.retry", { op: "retry", tasks: [{ id: "a" }] });
    return b;
  };
  const copy = { ...ack("first"), tasks: [{ id: "a", error: "broken" }] };

  it("turns a late copy of the attempt before it away, while it is open", () => {
    const b = failed();
    const before = b.record("completion");
    expect(verdicts(b, copy)).toEqual(["accepted"]);
    expect(b.record("completion")).toEqual(before);
    expect(view(b)).toMatchObject({ failed: 0, remaining: 2, errors: "(empty)" });
  });

  it("keeps the call that it overwrites known for a minute", () => {
    const b = failed();
    b.run("completion.ack", { ...ack("second"), tasks: [{ id: "a", error: "again" }] });
    b.run("completion.retry", { op: "retry 2", tasks: [{ id: "a" }] });
    b.pass(59_999);
    const before = view(b);
    for (const call of [copy, { ...copy, op: "second" }]) expect(verdicts(b, call)).toEqual(["accepted"]);
    expect(view(b)).toEqual(before);
    // An attempt of its own counts.
    expect(verdicts(b, { ...copy, op: "third" })).toEqual(["accepted"]);
    expect(view(b)).toMatchObject({ failed: 1, errors: [{ taskId: "a", message: "broken" }] });
  });

  it("opens a failed task alone, once, and tells a copy of the retry the same again", () => {
    const b = failed();
    b.run("completion.ack", ack("x", "b"));
    const retry = (op: string) => b.run("completion.retry", { op, tasks: [{ id: "a" }, { id: "b" }, { id: "c" }] });
    expect(retry("r1").letters).toBe("ssu");
    b.run("completion.ack", { ...ack("y"), tasks: [{ id: "a", error: "again" }] });
    expect(retry("r2").letters).toBe("rsu");
    b.run("completion.ack", ack("z", "a"));
    expect(retry("r2").letters).toBe("rsu");
    expect(view(b)).toMatchObject({ succeeded: 2, failed: 0 });
  });
});
