import { describe, expect, it } from "vitest";
import { T0 } from "../bench.js";
import { done, registered, requestBench, requestOf, TTL_MS } from "../request-bench.js";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe("how long a request is kept", () => {
  it("is kept while a caller waits, and its end is put off every quarter of the TTL at most", () => {
    const { run, pass, record, add, ack } = registered();
    add("s", "a");
    for (let i = 0; i < 20; i++) {
      expect(run("request.wait", {})).toMatchObject({ ready: false, recheckInMs: TTL_MS / 4 });
      pass(TTL_MS / 4 - 1);
      const before = record("request");
      run("request.wait", {});
      expect(record("request")).toEqual(before);
      pass(1);
    }
    expect(ack(done("op", "a"))).toMatchObject({ verdict: "accepted", complete: true });
  });

  it("row 16: ends as timed out after its TTL when no call writes or waits, even when callers read it", () => {
    const { run, pass, add, view, ack } = registered();
    add("s", "a");
    for (let i = 0; i < 10; i++) {
      pass(TTL_MS / 10 - 1);
      expect(view()).toMatchObject({ state: "open", remaining: 1 });
    }
    pass(10);
    expect(view()).toMatchObject({ state: "timed_out", reason: "silent", remaining: 1 });
    expect(run("request.wait", {})).toMatchObject({ ready: true, view: { state: "timed_out" } });
    expect(ack(done("op", "a"))).toMatchObject({ verdict: "late", state: "timed_out", complete: false });
    pass(TTL_MS);
    expect(run("request.status", {})).toEqual("(empty)");
  });

  it("row 16: is unknown to its waiters once it has expired, with no counts that could be read as complete", () => {
    const { run, pass, add, record } = registered();
    add("s", "a");
    pass(3 * TTL_MS);
    const look = run("request.wait", { isKnown: true });
    expect(look).toMatchObject({ ready: true });
    expect(look).not.toHaveProperty("view");
    expect(record("request")).toBeUndefined();
  });

  it("row 55: is kept by a caller that follows its progress, as by one that waits", () => {
    const { run, pass, record, add, ack, version } = registered();
    add("s", "a");
    const after = version();
    for (let i = 0; i < 20; i++) {
      const before = record("request");
      pass(TTL_MS / 4 - 1);
      // Whether it has news or not.
      expect(run("request.progress", { after: i % 2 === 0 ? after : "" }).ready).toBe(i % 2 !== 0);
      expect(record("request")).toEqual(before);
      pass(1);
      expect(run("request.progress", { after })).toMatchObject({ ready: false, recheckInMs: 1_000 });
      expect(record("request")?.head).toMatchObject({ fields: { followedAtMs: T0 + ((i + 1) * TTL_MS) / 4 } });
    }
    expect(ack(done("op", "a"))).toMatchObject({ verdict: "accepted", complete: true });
  });

  it("row 55: is kept by no look that has news: the follower comes back with the version it has seen", () => {
    const { run, pass, record, view } = registered();
    pass(TTL_MS - 1);
    const before = record("request");
    expect(run("request.progress", { after: "" }).ready).toBe(true);
    expect(record("request")).toEqual(before);
    pass(1);
    expect(view()?.state).toBe("timed_out");
  });

  it("row 55: is looked at often enough to be kept, though it lives for a second", () => {
    const { run, pass, version } = registered(1_000);
    const after = version();
    for (let i = 0; i < 20; i++) {
      const { ready, recheckInMs = 0 } = run("request.progress", { after });
      expect([i, ready, recheckInMs]).toEqual([i, false, 250]);
      pass(recheckInMs);
    }
  });

  it.each(["request.wait", "request.progress"] as const)(
    "is kept by its followers alone for 30 days after its last change (%s)",
    (transition) => {
      const { run, pass, now, version } = registered(DAY_MS);
      const after = version();
      let looks = 0;
      for (;;) {
        const { view, ready, recheckInMs = 0 } = run(transition, { after });
        if (ready) {
          expect(view).toMatchObject({ state: "timed_out", reason: "silent" });
          break;
        }
        expect(recheckInMs).toBeGreaterThan(0);
        pass(transition === "request.wait" ? recheckInMs : 3_600_000);
        looks++;
      }
      expect(now()).toBeGreaterThanOrEqual(T0 + 30 * DAY_MS);
      expect(now()).toBeLessThanOrEqual(T0 + 31 * DAY_MS + 3_600_000);
      expect(looks).toBeLessThan(800);
    },
  );

  it("puts its end off by writes too, and moves its expiry every quarter of its time at most", () => {
    const { run, pass, untilMs, view, add } = registered();
    add("s", "a");
    const untilBefore = untilMs();
    pass(TTL_MS / 4 - 1);
    run("request.count", { op: "r1", stage: "s", processed: 1 });
    expect(untilMs()).toBe(untilBefore);
    pass(2);
    run("request.count", { op: "r2", stage: "s", processed: 1 });
    expect(untilMs()).toBeGreaterThanOrEqual(T0 + TTL_MS / 4 + 1 + 2 * TTL_MS);
    pass(TTL_MS - 1);
    expect(view()?.state).toBe("open");
    pass(1);
    expect(view()?.state).toBe("timed_out");
  });

  it("is kept for its whole time once it is complete and sealed, counted from the end", () => {
    const { run, pass, untilMs, add } = registered();
    add("s", "a");
    run("request.seal", { op: "seal" });
    pass(1_000);
    run("request.ack", done("op", "a"));
    expect(untilMs()).toBe(T0 + 1_000 + TTL_MS);
  });

  it("ends as complete, not as timed out, when its time is over while no task is open", () => {
    const { run, pass, add, view } = registered();
    add("s", "a");
    pass(1_000);
    run("request.ack", done("op", "a"));
    expect(view()?.state).toBe("open");
    pass(TTL_MS);
    expect(view()).toMatchObject({ state: "completed", completionReason: "all_completed" });
    pass(TTL_MS - 1);
    expect(view()?.state).toBe("completed");
    pass(1);
    expect(run("request.status", {})).toEqual("(empty)");
  });
});

describe("row 63: the generations of a request", () => {
  it("are above those of a record that has expired, though they ran ahead of the clock", () => {
    const { run, pass, view } = requestBench();
    for (let i = 0; i < 90; i++) {
      run("request.register", requestOf(`r${i}`, 1_000));
      if (i < 89) run("request.remove", { op: `c${i}` });
    }
    const newest = view()?.generation ?? 0;
    expect(newest).toBe(T0 + 89);
    pass(2_000 + 1_000);
    expect(run("request.status", {})).toEqual("(empty)");
    run("request.register", requestOf("again", 1_000));
    expect(view()?.generation).toBeGreaterThan(newest);
  });

  it("are outlived by a removed record for a minute, though they ran ahead of the clock", () => {
    const { run, view, untilMs } = requestBench();
    for (let i = 0; i < 500; i++) {
      run("request.register", requestOf(`r${i}`));
      const generation = view()?.generation ?? 0;
      expect(generation).toBe(T0 + i);
      run("request.remove", { op: `c${i}` });
      expect(untilMs()).toBe(generation + MINUTE_MS);
    }
  });

  it("grow from use to use of an id within one instant, through more uses than are known", () => {
    const { run, version } = requestBench();
    const versions: string[] = [];
    for (let life = 0; life < 20; life++) {
      run("request.register", requestOf(`r${life}`));
      versions.push(version());
      run("request.remove", { op: `c${life}` });
    }
    expect(versions).toEqual(Array.from(versions, (_, i) => `${T0 + i}.1`));
  });
});

describe("a removed request", () => {
  it("row 17: shows its end for a minute to each that waited, and then nothing is left", () => {
    const { run, pass, record, add } = registered();
    add("s", "a", "b");
    run("request.ack", done("op1", "a", { error: "broken", processed: 0 }));
    run("request.ack", done("op2", "b"));
    const { view } = run("request.wait", {});
    expect(run("request.remove", { op: "remove" })).toEqual({ found: true });
    for (let waiter = 0; waiter < 3; waiter++) {
      const end = run("request.wait", {});
      const { total, succeeded, failed, errors, stages } = view ?? {};
      expect(end).toMatchObject({
        ready: true,
        view: { state: "completed", total, succeeded, failed, errors, stages },
      });
    }
    expect(run("request.status", {})).toEqual("(empty)");
    expect(add("s", "c")).toEqual({ outcome: "unknown" });
    pass(MINUTE_MS);
    expect(run("request.wait", { isKnown: true })).toEqual({ ready: true, version: T0 + MINUTE_MS });
    expect(record("request")).toBeUndefined();
  });

  it("is cancelled for its waiters when a task was open", () => {
    const { run, add } = registered();
    add("s", "a");
    run("request.remove", { op: "remove" });
    expect(run("request.wait", {})).toMatchObject({ ready: true, view: { state: "cancelled", reason: "removed" } });
  });

  it("row 21: takes nothing that races the removal, and leaves nothing for good", () => {
    const { run, pass, record, add, verdict } = registered();
    add("s", "a");
    run("request.remove", { op: "remove" });
    const before = record("request");
    expect(verdict(done("m", "a"))).toBe("unknown");
    expect(verdict({ ...done("m2", "early"), earlyTtlMs: TTL_MS })).toBe("unknown");
    expect(run("request.count", { op: "c", stage: "s", processed: 1 }).verdict).toBe("unknown");
    expect(run("request.seal", { op: "s" }).outcome).toBe("unknown");
    expect(run("request.abandon", { op: "x", caller: "register", reason: "failed" }).outcome).toBe("unknown");
    expect(run("request.remove", { op: "another" })).toEqual({ found: false });
    expect(record("request")).toEqual(before);
    pass(MINUTE_MS);
    run("request.status", {});
    expect(record("request")).toBeUndefined();
  });
});
