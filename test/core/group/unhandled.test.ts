import { describe, expect, it } from "vitest";
import { bench, registration, TARGET } from "../bench.js";

describe("a delivery without a handler", () => {
  it.each([
    ["handler:x", "no running instance has handler:x"],
    ["url", "no running instance sends webhooks"],
  ])("says what a drainer lacked that passed a delivery by: %s", (route, lastError) => {
    const { run } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: { route, body: "null" } } }));
    run("completion.woken", { routes: ["handler:y"] });
    expect(run("completion.status", {}).view?.delivery).toMatchObject({ state: "pending", attempts: 0, lastError });
  });

  describe("row 44: the day of a missing handler", () => {
    const HOUR_MS = 3_600_000;
    const lacking = { routes: ["handler:y"] };
    const having = { routes: ["handler:x"], leaseMs: 1_000, retry: { maxAttempts: 9, baseDelayMs: 0, maxDelayMs: 0 } };
    const started = () => {
      const { run, pass } = bench();
      const { view } = run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
      const delivery = () => run("completion.status", {}).view?.delivery;
      return { run, pass, delivery, generation: view?.generation ?? 0 };
    };

    it("does not begin while no instance drains", () => {
      const { run, pass, delivery } = started();
      pass(25 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", lastError: "no running instance has handler:x" });
      expect(run("completion.woken", lacking).claims).toEqual("(empty)");
      pass(24 * HOUR_MS - 1);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending" });
      pass(300_000);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "dead", attempts: 0, lastError: "no running instance has handler:x" });
    });

    it("ends with a claim, and the reason is gone from the status with it", () => {
      const { run, pass, delivery, generation } = started();
      run("completion.woken", lacking);
      pass(23 * HOUR_MS);
      const [claim] = run("completion.woken", having).claims;
      expect(delivery()).not.toHaveProperty("lastError");
      const { retry } = having;
      run("completion.settle", {
        key: String(generation),
        fence: claim?.fence ?? 0,
        error: "broken",
        retry,
        random: 0,
      });
      pass(2 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", attempts: 1, lastError: "broken" });
      pass(23 * HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "pending", lastError: "broken" });
      pass(HOUR_MS);
      run("completion.woken", lacking);
      expect(delivery()).toMatchObject({ state: "dead", attempts: 1, lastError: "broken" });
    });
  });

  it("row 48: hands a copy of a drainer's call its reports again, and a new call none", () => {
    const { run, pass } = bench();
    run("completion.register", registration({ total: 0, targets: { complete: TARGET } }));
    const unhandled = [
      {
        outcome: "unhandled",
        deliveryId: "msg_1",
        route: "handler:x",
        attempt: 0,
        error: "no running instance has handler:x",
      },
    ];
    expect(run("completion.woken", { op: "w1", routes: [] }).notices).toEqual(unhandled);
    expect(run("completion.woken", { op: "w1", routes: [] }).notices).toEqual(unhandled);
    pass(10_000);
    expect(run("completion.woken", { op: "w2", routes: [] }).notices).toBeUndefined();
    pass(3_600_000);
    expect(run("completion.woken", { op: "w3", routes: [] }).notices).toEqual(unhandled);
    pass(86_400_000);
    const dead = [{ ...unhandled[0], outcome: "dead" }];
    expect(run("completion.woken", { op: "w4", routes: [] }).notices).toEqual(dead);
    expect(run("completion.woken", { op: "w4", routes: [] }).notices).toEqual(dead);
    expect(run("completion.woken", { op: "w5", routes: [] }).notices).toBeUndefined();
  });
});
