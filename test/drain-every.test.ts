import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis as RawRedis } from "ioredis";
import { afterEach, describe, expect, inject, it, vi } from "vitest";
import { startRedis, startRestServer } from "../dev/redis-rest/index.js";
import { UpstashCoordinator } from "../src/backends/upstash/index.js";
import type { CoordinatorEvent, DrainOptions, DrainReport } from "../src/index.js";
import { CompletionTracker, MemoryCoordinator } from "../src/index.js";
import { newOp } from "../src/lib/ids.js";
import { type DrainEveryOptions, drainEvery } from "../src/runtime/drain-every.js";
import { ManualClock, seededRandom, settle } from "../src/testing/index.js";
import type {} from "./support/provided.js";

const NOTHING: DrainReport = { woken: 0, left: false, nextDueAtMs: undefined };
const EVERY_MS = 10_000;

/** A coordinator that records its drains, which end as the test says. */
class Drained extends MemoryCoordinator {
  readonly atMs: number[] = [];
  readonly options: DrainOptions[] = [];
  underWay = 0;
  most = 0;
  next: (options: DrainOptions) => Promise<Partial<DrainReport>> = async () => ({});

  constructor(readonly clock: ManualClock) {
    super({ clock });
  }

  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    this.atMs.push(this.clock.now());
    this.options.push(options);
    this.most = Math.max(this.most, ++this.underWay);
    try {
      return { ...NOTHING, ...(await this.next(options)) };
    } finally {
      this.underWay--;
    }
  }
}

function bench(more: DrainEveryOptions = {}) {
  const clock = new ManualClock();
  const coordinator = new Drained(clock);
  const events: CoordinatorEvent[] = [];
  const options: DrainEveryOptions = {
    everyMs: EVERY_MS,
    clock,
    random: () => 0.5,
    onEvent: (event) => void events.push(event),
    ...more,
  };
  const startedAtMs = clock.now();
  const start = () => drainEvery(coordinator, options);
  const times = () => coordinator.atMs.map((atMs) => atMs - startedAtMs);
  return { clock, coordinator, events, start, times };
}

/** A promise, and what settles it. */
function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("drainEvery", () => {
  it("drains after a part of the interval, and then again and again", async () => {
    const { clock, start, times } = bench();
    const stop = start();
    await clock.advance(40_000);
    expect(times()).toEqual([5_000, 14_500, 24_000, 33_500]);
    await stop();
  });

  it("goes on at once while something is left, and earlier for a record that comes due", async () => {
    const { clock, coordinator, start, times } = bench();
    const reports: Partial<DrainReport>[] = [
      { woken: 2, left: true },
      { woken: 2, left: true },
      { woken: 1, nextDueAtMs: clock.now() + 8_000 },
    ];
    coordinator.next = async () => reports.shift() ?? {};
    const stop = start();
    await clock.advance(15_000);
    expect(times()).toEqual([5_000, 5_000, 5_000, 8_550]);
    await stop();
  });

  it("never runs two drains at a time", async () => {
    const { clock, coordinator, start, times } = bench();
    const { opened, open } = gate();
    coordinator.next = () => opened.then(() => ({}));
    const stop = start();
    await clock.advance(60_000);
    expect(times()).toEqual([5_000]);
    open();
    await settle();
    await clock.advance(60_000);
    expect(times().length).toBeGreaterThan(5);
    expect(coordinator.most).toBe(1);
    await stop();
  });

  it("row 43: keeps its pace though deliveries hang, and stops when they have ended", async () => {
    const { clock, coordinator, start, times } = bench();
    const { opened, open } = gate();
    coordinator.next = async ({ waitUntil }) => {
      waitUntil?.(opened);
      return { woken: 1 };
    };
    const stop = start();
    await clock.advance(40_000);
    expect(times()).toEqual([5_000, 14_500, 24_000, 33_500]);
    let isStopped = false;
    const stopping = stop().then(() => {
      isStopped = true;
    });
    await settle();
    expect(isStopped).toBe(false);
    open();
    await stopping;
    expect(clock.pending).toBe(0);
  });

  it("waits for no delivery when its signal ends it", async () => {
    const controller = new AbortController();
    const { clock, coordinator, start } = bench({ signal: controller.signal });
    coordinator.next = async ({ waitUntil }) => {
      waitUntil?.(new Promise(() => {}));
      return {};
    };
    const stop = start();
    await clock.advance(6_000);
    controller.abort();
    await stop();
  });

  it("survives drains that fail, and tells of each", async () => {
    const { clock, coordinator, events, start, times } = bench();
    let failures = 0;
    coordinator.next = async () => {
      if (failures++ < 10) throw new Error("no answer");
      return {};
    };
    const stop = start();
    await clock.advance(120_000);
    expect(events.map(({ type }) => type)).toEqual(Array.from({ length: 10 }, () => "drain_failed"));
    const gaps = times().map((atMs, i, all) => atMs - (all[i - 1] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(EVERY_MS);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
    expect(times().length).toBeGreaterThan(12);
    await stop();
  });

  it("keeps instances that start together apart", async () => {
    const clock = new ManualClock();
    const random = seededRandom(7);
    const coordinators = Array.from({ length: 50 }, () => new Drained(clock));
    const startedAtMs = clock.now();
    const stops = coordinators.map((coordinator) => drainEvery(coordinator, { everyMs: EVERY_MS, clock, random }));
    await clock.advance(EVERY_MS);
    const bySecond = Array.from({ length: 10 }, () => 0);
    for (const { atMs } of coordinators) {
      expect(atMs.length).toBeGreaterThanOrEqual(1);
      const second = Math.floor(((atMs[0] ?? 0) - startedAtMs) / 1_000);
      bySecond[second] = (bySecond[second] ?? 0) + 1;
    }
    expect(Math.max(...bySecond)).toBeLessThan(15);
    await Promise.all(stops.map((stop) => stop()));
    expect(clock.pending).toBe(0);
  });
});

describe("the end of drainEvery", () => {
  it("comes with stop: no further drain, and no timer", async () => {
    const { clock, start, times } = bench();
    const stop = start();
    await clock.advance(6_000);
    await stop();
    expect(clock.pending).toBe(0);
    await clock.advance(60_000);
    expect(times()).toHaveLength(1);
    await stop();
  });

  it("waits for the drain under way, and lets it finish", async () => {
    const { clock, coordinator, start, times } = bench();
    const { opened, open } = gate();
    coordinator.next = () => opened.then(() => ({ woken: 1, left: true }));
    const stop = start();
    await clock.advance(5_000);
    let isStopped = false;
    const stopping = stop().then(() => {
      isStopped = true;
    });
    await settle();
    expect(isStopped).toBe(false);
    expect(coordinator.options[0]?.signal?.aborted).toBe(false);
    open();
    await stopping;
    await clock.advance(60_000);
    expect(times()).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("comes with the signal: the drain under way is ended, and that is no failure", async () => {
    const controller = new AbortController();
    const { clock, coordinator, events, start, times } = bench({ signal: controller.signal });
    coordinator.next = ({ signal }) =>
      new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    const stop = start();
    await clock.advance(5_000);
    expect(coordinator.underWay).toBe(1);
    controller.abort();
    await stop();
    expect(coordinator.underWay).toBe(0);
    await clock.advance(60_000);
    expect(times()).toHaveLength(1);
    expect(events).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("comes before the beginning when the signal was aborted already", async () => {
    const { clock, start, times } = bench({ signal: AbortSignal.abort() });
    start();
    await clock.advance(60_000);
    expect(times()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("leaves no listener at a signal that lives longer", async () => {
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, "removeEventListener");
    const add = vi.spyOn(signal, "addEventListener");
    const { clock, start } = bench({ signal });
    const stop = start();
    await clock.advance(20_000);
    await stop();
    expect(add).toHaveBeenCalled();
    expect(remove).toHaveBeenCalledTimes(add.mock.calls.length);
  });

  it("comes with the process, which it does not keep alive", async () => {
    const root = join(dirname(fileURLToPath(import.meta.url)), "..");
    const program = `
      import { MemoryCoordinator } from "./src/index.ts";
      import { drainEvery } from "./src/runtime/drain-every.ts";
      const drain = async () => ({ woken: 1, left: true, nextDueAtMs: undefined });
      drainEvery(Object.assign(new MemoryCoordinator(), { drain }), { everyMs: 100 });
      setTimeout(() => console.log("the end"), 300);
    `;
    const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
    const args = [tsx, "--input-type=module", "-e", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 30_000 });
    expect(stdout).toBe("the end\n");
  });
});

describe("drainEvery refuses", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("a coordinator that wakes records by itself", () => {
    const refusal = { code: "unsupported", message: expect.stringContaining("wakes records by itself") };
    expect(() => drainEvery(new MemoryCoordinator() as never)).toThrow(expect.objectContaining(refusal));
  });

  it("what is no coordinator", () => {
    expect(() => drainEvery(undefined as never)).toThrow(expect.objectContaining({ code: "misconfigured" }));
    expect(() => drainEvery({ later: async () => NOTHING } as never)).toThrow(
      expect.objectContaining({ code: "misconfigured" }),
    );
  });

  it("platforms whose timers end with the request", () => {
    const { start } = bench();
    vi.stubGlobal("EdgeRuntime", "edge-runtime");
    expect(start).toThrow(expect.objectContaining({ code: "unsupported" }));
    vi.unstubAllGlobals();
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    expect(start).toThrow(expect.objectContaining({ code: "unsupported" }));
  });

  it.each([{ everyMs: 99 }, { minPauseMs: 20_000 }, { limit: 0 }, { budgetMs: 0 }])("%j", (options) => {
    const { clock, start } = bench(options);
    expect(start).toThrow(expect.objectContaining({ code: "invalid_input" }));
    expect(clock.pending).toBe(0);
  });
});

describe("drainEvery over Redis", () => {
  const coordinator = (keyPrefix: string) =>
    new UpstashCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix, keyLocking: false });

  it("row 43: makes a delivery in time though all places of another handler hang", async () => {
    const keyPrefix = `drain-every-${newOp()}:`;
    const mine = coordinator(keyPrefix);
    const delivered: string[] = [];
    const hang = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<void>((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const handlers = {
      hang,
      done: ({ status }: { status: { groupId: string } }) => void delivered.push(status.groupId),
    };
    new CompletionTracker(mine, { handlers, attemptTimeoutSec: 600 });
    const owner = new CompletionTracker(coordinator(keyPrefix));
    const owing = async (ids: readonly string[], handler: string) => {
      await Promise.all(ids.map((id) => owner.register(id, 0, { onEnd: { handler } })));
    };
    await owing(
      Array.from({ length: 100 }, (_, i) => `hung-${i}`),
      "hang",
    );
    const controller = new AbortController();
    const stop = drainEvery(mine, { everyMs: 400, signal: controller.signal });
    for (const id of ["first", "second", "third"]) {
      await owing([id], "done");
      // Far less than the time of an attempt that hangs.
      await expect.poll(() => delivered.at(-1)).toBe(id);
    }
    controller.abort();
    await stop();
  });

  it("ends and delivers a group whose owner died, within the interval and a drain", async () => {
    const keyPrefix = `drain-every-${newOp()}:`;
    const mine = coordinator(keyPrefix);
    const delivered: { type: string; atMs: number }[] = [];
    const handlers = { done: ({ type }: { type: string }) => void delivered.push({ type, atMs: Date.now() }) };
    const tracker = new CompletionTracker(mine, { handlers });
    const stop = drainEvery(mine, { everyMs: 400 });
    // Another process: it registers, and is gone.
    const owner = new CompletionTracker(coordinator(keyPrefix));
    const { deadlineAtMs } = await owner.register("g", 2, { timeoutSec: 0.6, onEnd: { handler: "done" } });
    await expect.poll(() => delivered).toHaveLength(1);
    await expect.poll(() => tracker.status("g")).toMatchObject({ delivery: { state: "delivered" } });
    await stop();
    expect(delivered[0]?.type).toBe("group.timed_out");
    // The interval, a drain, and what a busy machine adds.
    expect((delivered[0]?.atMs ?? 0) - (deadlineAtMs ?? 0)).toBeLessThan(400 + 4_000);
  });

  it("costs 65 commands for a drain that finds nothing", async () => {
    const own = await startRedis();
    const rest = await startRestServer({ redisUrl: own.url, token: "token" });
    const raw = new RawRedis(own.url);
    try {
      const idle = new UpstashCoordinator({
        url: rest.url,
        token: "token",
        keyPrefix: "drain-cost:",
        onEvent: () => {},
      });
      await raw.config("RESETSTAT");
      await idle.drain();
      const calls = Object.fromEntries(
        [...(await raw.info("commandstats")).matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, n]) => [
          name,
          Number(n),
        ]),
      );
      expect(calls).toMatchObject({ time: 1, zrange: 64 });
    } finally {
      raw.disconnect();
      await rest.close();
      await own.close();
    }
  });
});
