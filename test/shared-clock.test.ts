import { describe, expect, it } from "vitest";
import { SharedClock } from "../src/lib/shared-clock.js";
import { ManualClock } from "../src/testing/index.js";

function lab() {
  const manual = new ManualClock();
  const kept: boolean[] = [];
  const platform = {
    now: () => manual.now(),
    setTimer: (run: () => void, delayMs: number, { background = false } = {}) => {
      kept.push(!background);
      return manual.setTimer(run, delayMs);
    },
  };
  return { manual, platform, kept, clock: new SharedClock(platform) };
}

describe("a shared clock", () => {
  it("row 51: sets one timer of the platform for all of its own, and none once they are over", async () => {
    const { manual, clock } = lab();
    const rung: number[] = [];
    for (let i = 0; i < 10_000; i++) clock.setTimer(() => void rung.push(i), 1_000 + (i % 100));
    expect(manual.pending).toBe(1);
    await manual.advance(999);
    expect(rung).toHaveLength(0);
    await manual.advance(50);
    expect(rung).toHaveLength(5_000);
    expect(manual.pending).toBe(1);
    await manual.advance(50);
    expect([rung.length, manual.pending]).toEqual([10_000, 0]);
  });

  it("rings in the order of the instants, whichever order they were set in", async () => {
    const { manual, clock } = lab();
    const rung: number[] = [];
    for (const ms of [30, 10, 20, 0, 25]) clock.setTimer(() => void rung.push(ms), ms);
    await manual.advance(30);
    expect(rung).toEqual([0, 10, 20, 25, 30]);
  });

  it("forgets what is cancelled, also by a timer of the same instant", async () => {
    const { manual, clock } = lab();
    const rung: string[] = [];
    const cancels = [
      clock.setTimer(() => {
        rung.push("first");
        for (const cancel of cancels) cancel();
      }, 10),
      clock.setTimer(() => void rung.push("second"), 10),
      clock.setTimer(() => void rung.push("later"), 20),
    ];
    await manual.advance(100);
    expect([rung.length, manual.pending]).toEqual([1, 0]);
  });

  it("holds no more than the timers that are set, however many were cancelled", async () => {
    const { manual, clock } = lab();
    let rung = 0;
    clock.setTimer(() => void rung++, 1_000);
    for (let i = 0; i < 100_000; i++) clock.setTimer(() => void rung++, 10_000)();
    expect(manual.pending).toBe(1);
    await manual.advance(1_000);
    expect([rung, manual.pending]).toEqual([1, 0]);
  });

  it("takes timers that are set while it rings", async () => {
    const { manual, clock } = lab();
    const rung: number[] = [];
    clock.setTimer(() => void clock.setTimer(() => void rung.push(manual.now()), 5), 10);
    const startMs = manual.now();
    await manual.advance(100);
    expect(rung).toEqual([startMs + 15]);
  });

  it("keeps the process alive as long as one of its timers does", async () => {
    const { manual, clock, kept } = lab();
    clock.setTimer(() => {}, 10, { background: true });
    const cancel = clock.setTimer(() => {}, 100);
    expect(kept).toEqual([false, true]);
    cancel();
    expect(kept).toEqual([false, true, false]);
    await manual.advance(10);
    expect(manual.pending).toBe(0);
  });

  it("row 51: sets nothing when the platform has no timer left", async () => {
    const { manual, clock, platform } = lab();
    const { setTimer } = platform;
    let rung = 0;
    platform.setTimer = () => {
      throw new Error("no timer left");
    };
    expect(() => clock.setTimer(() => void rung++, 10)).toThrow("no timer left");
    platform.setTimer = setTimer;
    clock.setTimer(() => {}, 20);
    await manual.advance(100);
    expect([rung, manual.pending]).toEqual([0, 0]);
  });
});
