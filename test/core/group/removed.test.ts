import { describe, expect, it } from "vitest";
import { ack, type Bench, bench, named, open, registration, T0, TARGET, verdicts } from "../bench.js";

const MINUTE_MS = 60_000;
const view = ({ run }: Bench) => run("completion.status", {}).view;

describe("a removed group", () => {
  it("is cancelled first when it is open, hidden at once, and gone after a minute", () => {
    const b = bench();
    b.run("completion.register", named(["a", "b"], { metadata: "{}" }));
    b.run("completion.ack", ack("x", "a"));
    expect(b.run("completion.remove", { op: "remove" })).toEqual({ found: true });
    expect(b.run("completion.status", {})).toEqual("(empty)");
    expect(b.run("completion.wait", {})).toMatchObject({
      ready: true,
      view: { state: "cancelled", reason: "removed" },
    });
    expect(b.run("completion.tasks", { after: 0, limit: 9 })).toEqual({ found: false, items: "(empty)" });
    expect(b.run("completion.results", { after: 0, limit: 9 })).toEqual({ found: false, items: "(empty)" });
    b.pass(MINUTE_MS - 1);
    expect(verdicts(b, ack("y", "b"))).toEqual(["unknown"]);
    b.pass(1);
    expect(b.run("completion.wait", { isKnown: true })).toEqual({ ready: true, version: b.now() });
    expect(b.record("completion")).toBeUndefined();
  });

  it("keeps its outbox alone after the minute, until the delivery is settled", () => {
    const b = bench();
    b.run("completion.register", named(["a"], { targets: { end: TARGET }, metadata: `{"a":1}` }));
    const key = String(view(b)?.generation);
    b.run("completion.remove", { op: "remove" });
    b.pass(MINUTE_MS);
    const retry = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 1_000 };
    const [claim] = b.run("completion.woken", { routes: ["handler:x"], leaseMs: 40_000, retry }).claims;
    expect(claim).toMatchObject({ key, type: "group.cancelled" });
    expect(claim?.snapshot).toMatchObject({ total: 1, reason: "removed", metadata: { a: 1 } });
    expect(Object.keys(b.record("completion")?.members ?? {})).toEqual([`d:${key}`, "reg", `s:${key}`]);
    expect(b.run("completion.wait", { isKnown: true })).toEqual({ ready: true, version: b.now() });
    expect(b.run("completion.progress", { after: "1.1" })).toMatchObject({ ready: true, version: b.now() });
    expect(b.run("completion.settle", { key, fence: claim?.fence ?? 0, retry, random: 0 }).settled).toBe(true);
    b.pass(MINUTE_MS);
    b.run("completion.status", {});
    expect(b.record("completion")).toBeUndefined();
  });

  it("delivers what it owes though its id is registered again meanwhile", () => {
    const b = bench();
    b.run("completion.register", named(["a"], { targets: { end: TARGET } }));
    const first = view(b)?.generation;
    b.run("completion.remove", { op: "remove" });
    b.run("completion.register", named(["a"], { op: "again", targets: { end: TARGET }, deliveryId: "msg_2" }));
    b.run("completion.ack", ack("x", "a"));
    expect(b.run("completion.woken", { routes: ["handler:x"] }).claims).toMatchObject([
      { generation: first, type: "group.cancelled", deliveryId: "msg_1" },
      { generation: view(b)?.generation, type: "group.completed", deliveryId: "msg_2" },
    ]);
  });
});

describe("a registration within a minute of the removal", () => {
  it("counts nothing of the group before it, and knows the calls of that one", () => {
    const b = bench();
    b.run("completion.register", open(["a", "b"]));
    const tasks = [{ id: "a", result: "1" }, { id: "b", error: "broken" }, { id: "early" }];
    b.run("completion.ack", { ...ack("x"), tasks });
    b.run("completion.remove", { op: "remove" });
    b.run("completion.register", open(["a", "b", "early"], { op: "again" }));
    expect(view(b)).toMatchObject({ total: 3, succeeded: 0, failed: 0, errorCount: 0, errors: "(empty)" });
    expect(b.run("completion.results", { after: 0, limit: 9 }).items).toEqual("(empty)");
    const before = view(b);
    expect(b.run("completion.ack", { ...ack("x"), tasks }).results.map(({ verdict }) => verdict)).not.toContain("late");
    expect(view(b)).toEqual(before);
    expect(verdicts(b, ack("y", "a", "b", "early"))).toEqual(["accepted", "accepted", "accepted"]);
  });

  it("counts any id where tasks are only counted, also the open tasks of the group before it", () => {
    const b = bench();
    b.run("completion.register", named(["a", "b"]));
    b.run("completion.remove", { op: "remove" });
    b.run("completion.register", registration({ op: "again" }));
    expect(verdicts(b, ack("x", "a", "c"))).toEqual(["accepted", "accepted"]);
    expect(view(b)?.state).toBe("completed");
  });

  it("hands its plain function to a process of its own, as each generation does", () => {
    const b = bench();
    const take = (op: string) => b.run("completion.take", { op, generation: view(b)?.generation ?? 0 }).taken;
    b.run("completion.register", named(["a"]));
    b.run("completion.ack", { ...ack("x"), tasks: [{ id: "a", error: "broken" }] });
    expect([take("p1"), take("p2"), take("p1")]).toEqual([true, false, true]);
    b.run("completion.register", named(["a"], { op: "kept", restart: { keep: "succeeded" } }));
    b.run("completion.ack", ack("y", "a"));
    expect([take("p2"), take("p1")]).toEqual([true, false]);
    b.run("completion.remove", { op: "remove" });
    b.run("completion.register", named(["a"], { op: "again" }));
    b.run("completion.ack", ack("z", "a"));
    expect([take("p3"), take("p2")]).toEqual([true, false]);
  });
});

describe("a late copy of a removal", () => {
  it.each([
    ["the next registration", () => {}],
    ["a restart", (b: Bench) => b.run("completion.register", named(["a"], { op: "r", fingerprint: "r", restart: {} }))],
    [
      "a restart in place",
      (b: Bench) =>
        b.run("completion.register", named(["a"], { op: "r", fingerprint: "r", restart: { keep: "succeeded" } })),
    ],
    [
      "a second removal",
      (b: Bench) => {
        b.run("completion.remove", { op: "second" });
        b.run("completion.register", named(["a"], { op: "r" }));
      },
    ],
  ])("removes nothing after %s", (_, then) => {
    const b = bench();
    b.run("completion.register", named(["a"]));
    b.run("completion.remove", { op: "remove" });
    b.pass(1_000);
    b.run("completion.register", named(["a"], { op: "again" }));
    then(b);
    const before = b.record("completion");
    expect(b.run("completion.remove", { op: "remove" })).toEqual({ found: true });
    expect(b.record("completion")).toEqual(before);
    expect(view(b)).toMatchObject({ state: "open" });
    expect(b.run("completion.remove", { op: "another" })).toEqual({ found: true });
    expect(b.run("completion.remove", { op: "one more" })).toEqual({ found: false });
  });

  it("is known through eight uses of the id", () => {
    const b = bench();
    for (let n = 1; n <= 9; n++) {
      b.run("completion.register", named(["a"], { op: `r${n}` }));
      if (n < 9) b.run("completion.remove", { op: `c${n}` });
    }
    for (let n = 1; n < 9; n++) expect(b.run("completion.remove", { op: `c${n}` })).toEqual({ found: true });
    expect(view(b)?.generation).toBe(T0 + 8);
  });
});
