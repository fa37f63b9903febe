import { describe, expect, it } from "vitest";
import { CompletionTracker, DedupeWindow, type Duration, drainEvery, MemoryCoordinator } from "../src/index.js";
import { inMillis, inSeconds } from "../src/lib/duration.js";
import { ManualClock } from "../src/testing/index.js";
import { verify, webhookSender } from "../src/webhook/index.js";

describe("a duration", () => {
  it.each([
    ["250ms", 0.25],
    ["30s", 30],
    ["1.5m", 90],
    ["2h", 7_200],
    ["7d", 604_800],
    [600, 600],
    [0, 0],
    ["0s", 0],
  ])("of %j is %d seconds", (value, seconds) => {
    expect(inSeconds(value, "field")).toBe(seconds);
    if (typeof value === "string") expect(inMillis(value, "field")).toBe(seconds * 1_000);
    else expect(inMillis(value, "field")).toBe(value);
  });

  it.each([null, "", "30", "s", "30 s", "-1s", "1e3s", "1w", "30S", "٣s", "1.s", "1s1s", " 1s"])(
    "is not %j",
    (value) => {
      expect(() => inSeconds(value, "field")).toThrow(
        /^field must be a number, or a text such as "30s", "10m" or "7d"$/,
      );
    },
  );

  it("is left to the caller's check where it is no text", () => {
    for (const value of [undefined, Number.NaN, {}, true]) expect(inSeconds(value, "field")).toBe(value);
  });
});

describe("an option that is a text", () => {
  const sendNowhere = { secrets: `whsec_${btoa("x".repeat(24))}`, allowedHosts: "a.example" };

  it("is the deadline and the TTL of groups", async () => {
    const clock = new ManualClock();
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock, ttlSec: "1h" }), { timeoutSec: "10m" });
    const byDefault = await tracker.register("a", 1);
    const own = await tracker.register("b", 1, { timeoutSec: "2h", ttlSec: "1d" });
    expect([byDefault, own].map((group) => Number(group.deadlineAtMs) - clock.now())).toEqual([600_000, 7_200_000]);
    const waiting = new CompletionTracker(new MemoryCoordinator());
    await waiting.register("a", 1);
    expect(await waiting.wait("a", { timeoutMs: "1ms" })).toMatchObject({ state: "open" });
  });

  it("is how long a claim and a raw key live", async () => {
    const clock = new ManualClock();
    const coordinator = new MemoryCoordinator({ clock });
    const window = new DedupeWindow(coordinator, { windowSec: "2m" });
    await window.claim("key");
    await coordinator.setIfAbsent("flag", "2m");
    await clock.advance(119_000);
    expect([await window.claim("key"), await coordinator.setIfAbsent("flag", 1)]).toEqual([false, false]);
    await clock.advance(2_000);
    expect([await window.claim("key"), await coordinator.setIfAbsent("flag", 1)]).toEqual([true, true]);
  });

  it.each<[string, (value: Duration) => unknown]>([
    ["ttlSec", (value) => new MemoryCoordinator({ ttlSec: value })],
    ["completionTimeoutSec", (value) => new MemoryCoordinator({ completionTimeoutSec: value })],
    ["timeoutSec", (value) => new CompletionTracker(new MemoryCoordinator(), { timeoutSec: value })],
    ["earlyTtlSec", (value) => new CompletionTracker(new MemoryCoordinator(), { earlyTtlSec: value })],
    ["attemptTimeoutSec", (value) => new CompletionTracker(new MemoryCoordinator(), { attemptTimeoutSec: value })],
    ["windowSec", (value) => new DedupeWindow(new MemoryCoordinator(), { windowSec: value })],
    ["timeoutMs", (value) => webhookSender({ ...sendNowhere, timeoutMs: value })],
    ["everyMs", (value) => drainEvery({ drain: () => new Promise(() => {}) }, { everyMs: value })],
  ])("is refused by the option's name and range: %s", (field, make) => {
    expect(() => make("2 weeks" as Duration)).toThrow(new RegExp(`^${field} must be a number, or a text`));
    expect(() => make("4000d")).toThrow(new RegExp(`^${field} must be`));
  });

  it("is the tolerance of a webhook's verification", async () => {
    const input = { secrets: sendNowhere.secrets, headers: new Headers(), body: "", toleranceSec: "2d" as const };
    await expect(verify(input)).rejects.toThrow(/^toleranceSec must be 0 to 86400$/);
  });
});
