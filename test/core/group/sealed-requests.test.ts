import { describe, expect, it } from "vitest";
import { MAX_EARLY_BODIES } from "../../../src/core/group/early-acks.js";
import { done, registered } from "../request-bench.js";

const sealed = () => {
  const b = registered();
  b.run("request.add", { op: "roots", lists: [JSON.stringify(["s", "a", "b"])] });
  b.run("request.seal", { op: "seal" });
  return b;
};

describe("row 66: a request that is sealed", () => {
  it("takes no new tasks while it is pending, and changes nothing", () => {
    const { run, add, record } = sealed();
    const before = record("request");
    expect(add("s", "c").outcome).toBe("sealed");
    expect(add("s", "a", "c").outcome).toBe("sealed");
    expect(add("another", "c").outcome).toBe("sealed");
    expect(add("s", "a", "b").outcome).toBe("sealed");
    expect(record("request")).toEqual(before);
    // A copy of a call from before the seal gets the same answer again.
    const copy = { op: "roots", lists: [JSON.stringify(["s", "a", "b"])] };
    expect(run("request.add", copy)).toMatchObject({ outcome: "added", letters: "nn" });
    run("request.ack", done("m1", "a"));
    run("request.ack", done("m2", "b"));
    expect(add("s", "c")).toMatchObject({ outcome: "late", view: { state: "completed" } });
  });

  it("takes the tasks that a task hands on to, once, and theirs", () => {
    const { run, ack, view } = sealed();
    const next = [{ stage: "t", ids: ["a"] }];
    expect(ack(done("m1", "a", { next }))).toMatchObject({ verdict: "accepted", complete: false });
    run("request.ack", done("m2", "a", { next: [{ stage: "t", ids: ["other"] }] }));
    run("request.ack", done("m1", "a", { next }));
    run("request.ack", done("m3", "b"));
    expect(view()).toMatchObject({ state: "open", remaining: 1 });
    const last = done("m4", "a", { stage: "t", next: [{ stage: "u", ids: ["a"] }] });
    expect(ack(last)).toMatchObject({ verdict: "accepted", complete: false });
    expect(ack(done("m5", "a", { stage: "u" }))).toMatchObject({ complete: true, state: "completed" });
  });

  it("gets no tasks and no counts from the ack of a task that was not announced", () => {
    const { ack, verdict, run, view } = sealed();
    const stray = { processed: 7, next: [{ stage: "s", ids: ["c", "d"] }] };
    expect(ack(done("stray", "x", stray))).toMatchObject({ verdict: "early", complete: false });
    expect(verdict(done("failed", "y", { processed: 0, error: "broken" }))).toBe("early");
    expect(view()).toMatchObject({
      remaining: 2,
      errorCount: 0,
      errors: "(empty)",
      stages: [{ processed: 0, errors: 0 }],
    });
    run("request.ack", done("m1", "a"));
    expect(ack(done("m2", "b"))).toMatchObject({ verdict: "accepted", complete: true });
    expect(view()).toMatchObject({ total: 2, stages: [{ processed: 2 }] });
  });

  it("takes what an early ack hands on to once a task that counts announces the acked one", () => {
    const { ack, run, view, verdict } = sealed();
    const next = [{ stage: "t", ids: ["c", "d"] }];
    run("request.ack", done("early", "x", { processed: 7, next }));
    run("request.ack", done("early2", "d", { stage: "t", processed: 0, error: "broken" }));
    const handOn = done("m1", "a", { next: [{ stage: "s", ids: ["x"] }] });
    expect(ack(handOn)).toMatchObject({ verdict: "accepted", complete: false });
    // b, and c in stage t.
    expect(view()).toMatchObject({
      remaining: 2,
      stages: [
        { stage: "s", processed: 8 },
        { stage: "t", errors: 1 },
      ],
      errors: [{ stage: "t", taskId: "d", message: "broken" }],
    });
    const before = view();
    expect(verdict(done("early", "x", { processed: 7, next }))).toBe("accepted");
    expect(view()).toEqual(before);
    run("request.ack", done("m2", "b"));
    expect(ack(done("m3", "c", { stage: "t" }))).toMatchObject({ complete: true });
  });
});

it("row 18 and row 66: adds what a chain of early acks hands on to in one step", () => {
  const { run, view, add } = registered();
  // The last task of the chain hands on to none.
  const LENGTH = MAX_EARLY_BODIES + 1;
  for (let i = LENGTH; i > 0; i--) {
    const next = i === LENGTH ? {} : { next: [{ stage: "s", ids: [`r${i + 1}`] }] };
    run("request.ack", done(`op${i}`, `r${i}`, next));
  }
  expect(view()).toMatchObject({ state: "open", total: 0 });
  expect(add("s", "r1")).toMatchObject({ letters: "e", view: { remaining: 0, total: LENGTH } });
  expect(view()?.stages).toMatchObject([{ processed: LENGTH }]);
  expect(run("request.wait", {}).ready).toBe(true);
});
