import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../../src/testing/index.js";

describe("a manual clock", () => {
  it("fires timers in the order of their instants, each at its own", async () => {
    const clock = new ManualClock(1_000);
    const fired: [string, number][] = [];
    clock.setTimer(() => fired.push(["b", clock.now()]), 200);
    clock.setTimer(() => fired.push(["a", clock.now()]), 100);
    clock.setTimer(() => fired.push(["c", clock.now()]), 300);
    await clock.advance(250);
    expect(fired).toEqual([
      ["a", 1_100],
      ["b", 1_200],
    ]);
    expect([clock.now(), clock.pending]).toEqual([1_250, 1]);
  });

  it("fires timers that a timer sets, within the same advance", async () => {
    const clock = new ManualClock(0);
    const fired: number[] = [];
    const again = () => {
      fired.push(clock.now());
      clock.setTimer(again, 100);
    };
    clock.setTimer(again, 100);
    await clock.advance(350);
    expect(fired).toEqual([100, 200, 300]);
  });

  it("waits for what a timer began before it goes on", async () => {
    const clock = new ManualClock(0);
    const seen: string[] = [];
    clock.setTimer(async () => {
      await settle(2);
      seen.push(`first at ${clock.now()}`);
    }, 100);
    clock.setTimer(() => seen.push("second"), 200);
    await clock.advance(1_000);
    expect(seen).toEqual(["first at 100", "second"]);
  });

  it("calls timers off", async () => {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    const cancel = clock.setTimer(() => fired.push("late"), 100);
    clock.setTimer(() => fired.push("now"), 0)();
    cancel();
    await clock.advance(1_000);
    expect([fired, clock.pending]).toEqual([[], 0]);
  });

  it("fires by itself what is due already", async () => {
    const clock = new ManualClock(0);
    const fired: string[] = [];
    clock.setTimer(() => fired.push("due"), 0);
    clock.setTimer(() => fired.push("overdue"), -5);
    expect(fired).toEqual([]);
    await settle();
    expect(fired).toEqual(["due", "overdue"]);
  });

  it("jumps both ways", async () => {
    const clock = new ManualClock(1_000);
    const fired: number[] = [];
    clock.setTimer(() => fired.push(clock.now()), 100);
    await clock.set(500);
    expect([clock.now(), fired]).toEqual([500, []]);
    await clock.set(5_000);
    expect([clock.now(), fired]).toEqual([5_000, [5_000]]);
  });
});
