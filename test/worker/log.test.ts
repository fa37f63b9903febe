import { describe, expect, it } from "vitest";
import { CoordinationError } from "../../src/errors.js";
import { EventLog, loggedPath } from "../../worker/log.js";

const T0 = 1_767_225_600_000;

/** A log with its lines, at a time that the test moves. */
function logAt() {
  const lines: { readonly level: string; readonly event: string; readonly suppressed?: number }[] = [];
  const time = { nowMs: T0 };
  const log = new EventLog(
    () => time.nowMs,
    (level, line) => {
      lines.push(JSON.parse(line));
      expect(lines.at(-1)?.level).toBe(level);
    },
  );
  return { log, lines, time };
}

const delivery = (outcome: "delivered" | "retry" | "dead" | "stale" | "unhandled") =>
  ({ type: "delivery", machine: "completion", id: "g", deliveryId: "d", attempt: 1, outcome }) as const;

describe("the Worker's log", () => {
  it("writes a line of JSON for each event, with the level that it needs", () => {
    const { log, lines } = logAt();
    const error = new CoordinationError("misconfigured", "COORDINATOR_TOKEN is missing");
    for (const outcome of ["delivered", "stale", "retry", "unhandled", "dead"] as const) log.add(delivery(outcome));
    log.add({ type: "misconfigured", error });
    const call = { method: "PUT", path: "/v1/groups/a" };
    log.add({ type: "auth_failed", ...call, reason: "unknown" });
    log.add({ type: "failed", ...call, error: "text" }, { tenant: "tenant-a" });
    log.add({ type: "quota", quota: "openWaits", ...call, tenant: "tenant-a" });
    log.add({ type: "registered", machine: "completion", id: "g", generation: 1, total: 2 });
    expect(lines.map(({ level, event }) => [level, event])).toEqual([
      ["info", "delivery"],
      ["info", "delivery"],
      ["warn", "delivery"],
      ["warn", "delivery"],
      ["error", "delivery"],
      ["error", "misconfigured"],
      ["warn", "auth_failed"],
      ["error", "failed"],
      ["warn", "quota"],
      ["info", "registered"],
    ]);
    expect(lines.slice(-5)).toEqual([
      { level: "error", event: "misconfigured", error: "CoordinationError: COORDINATOR_TOKEN is missing" },
      { level: "warn", event: "auth_failed", ...call, reason: "unknown" },
      { level: "error", event: "failed", ...call, error: "text", tenant: "tenant-a" },
      { level: "warn", event: "quota", quota: "openWaits", ...call, tenant: "tenant-a" },
      { level: "info", event: "registered", machine: "completion", id: "g", generation: 1, total: 2 },
    ]);
  });

  it("writes 20 lines a second of each kind, and says how many it did not write", () => {
    const { log, lines, time } = logAt();
    for (let i = 0; i < 50; i++) log.add(delivery("retry"));
    expect(lines).toHaveLength(20);
    time.nowMs += 999;
    log.add(delivery("retry"));
    expect(lines).toHaveLength(20);
    // A flood of one kind hides no event of another.
    log.add(delivery("dead"));
    time.nowMs += 1;
    log.add(delivery("retry"));
    log.add(delivery("retry"));
    expect(lines.slice(20).map(({ suppressed }) => suppressed)).toEqual([undefined, 31, undefined]);
  });

  it("goes on when the clock is set back", () => {
    const { log, lines, time } = logAt();
    for (let i = 0; i < 50; i++) log.add(delivery("retry"));
    time.nowMs -= 3_600_000;
    log.add(delivery("retry"));
    expect(lines).toHaveLength(21);
  });

  it("cuts long errors, and shows an error's message alone", () => {
    const { log, lines } = logAt();
    log.add({
      type: "failed",
      method: "GET",
      path: "/",
      error: Object.assign(new Error("x".repeat(5_000)), { secret: "Canary" }),
    });
    expect(JSON.stringify(lines)).not.toContain("Canary");
    expect(JSON.stringify(lines).length).toBeLessThan(1_200);
  });
});

describe("a logged path", () => {
  const token = `${"h".repeat(80)}.${"p".repeat(300)}.${"s".repeat(43)}`;

  it("takes a time in proportion to its length", () => {
    const fastestMs = (length: number): number => {
      const path = `/v1/${"a".repeat(length)}`;
      const times = Array.from({ length: 20 }, () => {
        const startMs = performance.now();
        loggedPath(path);
        return performance.now() - startMs;
      });
      return Math.min(...times);
    };
    // 16 times the length: 16 times as long, or 256 times with a pattern that begins anew at each character.
    expect(fastestMs(16_000) / fastestMs(1_000)).toBeLessThan(100);
  });

  it("is cut, and never inside a token", () => {
    expect(loggedPath(`/v1/${"a".repeat(16_000)}`)).toHaveLength(200);
    for (const before of [0, 100, 190, 195, 199]) {
      const path = loggedPath(`/${"a".repeat(before)}/${token}`);
      expect(path).not.toMatch(/[hps]{2}/);
      expect(path.length).toBeLessThanOrEqual(200);
    }
    expect(loggedPath(`/v1/${token}.${token}/b`)).toBe("/v1/….…/b");
  });
});
