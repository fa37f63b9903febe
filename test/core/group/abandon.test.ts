import { describe, expect, it } from "vitest";
import { MAX_CALLERS } from "../../../src/core/group/registration.js";
import { done, type RequestBench, registered, requestBench, requestOf } from "../request-bench.js";

const abandon = ({ run }: RequestBench, op: string, caller: string) =>
  run("request.abandon", { op, caller, reason: "failed" }).outcome;

describe("row 74: a request whose caller has failed", () => {
  it("is cancelled once, when its last caller abandons it; copies of the call change nothing", () => {
    const b = registered();
    const { run, add, view, record } = b;
    run("request.register", requestOf("second"));
    run("request.register", requestOf("second"));
    add("s", "a");
    const before = record("request");
    expect(abandon(b, "x", "stranger")).toBe("joined");
    expect(record("request")).toEqual(before);
    expect(abandon(b, "a1", "register")).toBe("joined");
    for (const op of ["a1", "again"]) expect(abandon(b, op, "register")).toBe("joined");
    expect(view()?.state).toBe("open");
    for (let i = 0; i < 2; i++) expect(abandon(b, "a2", "second")).toBe("cancelled");
    expect(abandon(b, "a3", "second")).toBe("late");
    expect(view()).toMatchObject({ state: "cancelled", reason: "failed", remaining: 1 });
    expect(run("request.wait", {})).toMatchObject({ ready: true, view: { state: "cancelled" } });
  });

  it("begins anew with the next registration; late copies of calls before it change nothing", () => {
    const b = registered();
    const { run, view } = b;
    run("request.register", requestOf("second"));
    abandon(b, "a1", "register");
    abandon(b, "a2", "second");
    const first = view()?.generation ?? 0;
    // Late copies of the registrations begin nothing.
    expect(run("request.register", requestOf("register"))).toMatchObject({
      outcome: "exists",
      view: { state: "cancelled" },
    });
    expect(run("request.register", requestOf("third"))).toMatchObject({ outcome: "created", view: { state: "open" } });
    expect(view()?.generation).toBeGreaterThan(first);
    // A copy gets the first answer of its call. It changes nothing.
    expect(["a1", "a2", "late"].map((op) => abandon(b, op, "second"))).toEqual(["joined", "cancelled", "joined"]);
    expect(run("request.register", requestOf("register")).outcome).toBe("exists");
    expect(view()).toMatchObject({ state: "open", errors: "(empty)" });
    expect(abandon(b, "a3", "third")).toBe("cancelled");
  });

  it("goes on once it is sealed, and while it is complete its last caller can still abandon it", () => {
    const b = registered();
    b.add("s", "a");
    b.run("request.ack", done("m", "a"));
    expect(b.isComplete()).toBe(true);
    expect(abandon(b, "a1", "register")).toBe("cancelled");
    const second = registered();
    second.add("s", "a");
    second.run("request.seal", { op: "seal" });
    expect(abandon(second, "a1", "register")).toBe("late");
    expect(second.view()?.state).toBe("open");
  });

  it("takes no further call after it: acks are told that it was cancelled", () => {
    const b = registered();
    b.add("s", "a");
    abandon(b, "a1", "register");
    expect(b.verdict(done("m", "a"))).toBe("cancelled");
    expect(b.add("s", "b").outcome).toBe("late");
    expect(b.run("request.count", { op: "c", stage: "s", processed: 1 }).verdict).toBe("cancelled");
  });

  it("stays, with more callers than are known by name", () => {
    const b = requestBench();
    const callers = Array.from({ length: MAX_CALLERS + 3 }, (_, i) => `caller${i}`);
    for (const op of callers) b.run("request.register", requestOf(op));
    for (const caller of callers) expect(abandon(b, `of ${caller}`, caller)).toBe("joined");
    expect(b.view()?.state).toBe("open");
  });

  it("is abandoned by no copy of a call from before its removal", () => {
    const b = registered();
    b.run("request.register", requestOf("second"));
    abandon(b, "a1", "register");
    b.run("request.remove", { op: "remove" });
    b.run("request.register", requestOf("third"));
    for (const [op, caller] of [
      ["a1", "register"],
      ["a2", "second"],
    ] as const)
      expect(abandon(b, op, caller)).toBe("joined");
    expect(b.view()?.state).toBe("open");
    expect(abandon(b, "a3", "third")).toBe("cancelled");
    expect(b.run("request.remove", { op: "remove" })).toEqual({ found: true });
    expect(b.view()?.state).toBe("cancelled");
  });
});
