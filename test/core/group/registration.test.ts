import { describe, expect, it } from "vitest";
import { MAX_ERRORS } from "../../../src/core/group/counting.js";
import { ack, bench, registration, T0 } from "../bench.js";

describe("the registration of a group", () => {
  it("tells the copy of an older restart that its generation exists, and restarts nothing", () => {
    const { run } = bench();
    run("completion.register", registration());
    run("completion.register", registration({ op: "a", fingerprint: "a", restart: {} }));
    const second = run("completion.register", registration({ op: "b", fingerprint: "b", restart: {} }));
    run("completion.ack", ack("x", "1"));
    const copy = run("completion.register", registration({ op: "a", fingerprint: "a", restart: {} }));
    expect(copy).toMatchObject({ outcome: "exists", view: { generation: second.view?.generation, remaining: 1 } });
  });

  it("ends a generation alone that a cancel names", () => {
    const { run } = bench();
    const first = run("completion.register", registration());
    const generation = first.view?.generation ?? 0;
    run("completion.register", registration({ op: "b", fingerprint: "b", restart: { from: generation } }));
    expect(run("completion.cancel", { reason: "late", generation }).view?.state).toBe("open");
    expect(run("completion.cancel", { reason: "now" }).view?.state).toBe("cancelled");
  });

  it("stores 1,000 errors and no more, and counts them all", () => {
    const { run, record } = bench();
    run("completion.register", registration({ total: 1_300 }));
    for (let i = 0; i < 1_300; i++) {
      run("completion.ack", { ...ack(`op${i}`), tasks: [{ id: `t${i}`, error: "broken" }] });
    }
    const names = Object.keys(record("completion")?.members ?? {}).filter((name) => name.startsWith("e:"));
    expect(names).toHaveLength(MAX_ERRORS);
    expect(record("completion")?.head).toMatchObject({ fields: { failed: 1_300, state: "completed" } });
  });

  it("row 63: a generation is above those of a record that has expired, though they ran ahead of the clock", () => {
    const { run, pass } = bench();
    const again = (n: number) =>
      run(
        "completion.register",
        registration({ op: `r${n}`, fingerprint: `${n}`, total: 0, ttlMs: 1_000, restart: {} }),
      );
    for (let n = 0; n < 9_000; n++) again(n);
    const newest = run("completion.status", {}).view?.generation ?? 0;
    expect(newest).toBe(T0 + 8_999);
    pass(8_999 + 999);
    expect(run("completion.status", {}).view?.generation).toBe(newest);
    pass(1);
    expect(run("completion.status", {})).toEqual("(empty)");
    const { view } = run("completion.register", registration({ total: 0 }));
    expect(view?.generation).toBeGreaterThan(newest);
  });

  it("leaves nothing behind when an unknown group is read, or acked with a generation", () => {
    const { run, record } = bench();
    run("completion.status", {});
    run("completion.wait", {});
    run("completion.results", { after: 0, limit: 1 });
    run("completion.cancel", { reason: "x" });
    run("completion.decrement", { op: "x", by: 1 });
    run("completion.redeliver", { op: "x" });
    run("completion.woken", { routes: ["handler:x"] });
    run("completion.ack", { ...ack("x", "a"), generation: 7 });
    expect(record("completion")).toBeUndefined();
  });
});
