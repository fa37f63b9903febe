import { describe, expect, it } from "vitest";
import type { CoordinatorEvent, Drainable, DrainOptions, DrainReport } from "../src/index.js";
import { CoordinationError, MemoryCoordinator } from "../src/index.js";
import { DrainRounds, type DrainRoundsOptions } from "../src/runtime/drain-loop.js";
import { ManualClock, seededRandom, settle } from "../src/testing/index.js";

const NOTHING: DrainReport = { woken: 0, left: false, nextDueAtMs: undefined };
const EVERY_MS = 10_000;
const HOUR_MS = 3_600_000;

type Drain = (options: DrainOptions) => Promise<DrainReport>;

function drained(drain: Drain): Drainable {
  return Object.assign(new MemoryCoordinator(), { drain });
}

/** Rounds over a clock that stands still: each drain reports what the test says. */
function bench(more: Partial<DrainRoundsOptions> = {}) {
  const clock = new ManualClock();
  const events: CoordinatorEvent[] = [];
  const rounds = new DrainRounds({
    everyMs: EVERY_MS,
    isShared: false,
    clock,
    random: () => 0.5,
    onEvent: (event) => void events.push(event),
    ...more,
  });
  const pauseAfter = (report: Partial<DrainReport>): Promise<number> =>
    rounds.drain(() => drained(async () => ({ ...NOTHING, ...report })));
  const failing = (error: unknown): Promise<number> => rounds.drain(() => drained(() => Promise.reject(error)));
  return { clock, events, rounds, pauseAfter, failing, inMs: (ms: number) => clock.now() + ms };
}

describe("the pause after a drain", () => {
  it("is the interval when nothing is coming", async () => {
    expect(await bench().pauseAfter({})).toBe(EVERY_MS);
    expect(await bench().pauseAfter({ woken: 5 })).toBe(EVERY_MS);
  });

  it("ends a moment after the next record comes due, if that is sooner", async () => {
    const { pauseAfter, inMs } = bench();
    expect(await pauseAfter({ nextDueAtMs: inMs(4_000) })).toBe(4_050);
    expect(await pauseAfter({ nextDueAtMs: inMs(60_000) })).toBe(EVERY_MS);
  });

  it("is never shorter than the shortest, though records come due one after another", async () => {
    const { pauseAfter, inMs } = bench();
    expect(await pauseAfter({ woken: 1, nextDueAtMs: inMs(3) })).toBe(1_000);
    const even = bench({ minPauseMs: EVERY_MS });
    expect(await even.pauseAfter({ woken: 1, nextDueAtMs: even.inMs(3) })).toBe(EVERY_MS);
    const short = bench({ everyMs: 200 });
    expect(await short.pauseAfter({ woken: 1, nextDueAtMs: short.inMs(3) })).toBe(200);
  });

  it("is none while something is left", async () => {
    const { pauseAfter, inMs } = bench();
    for (let i = 0; i < 5; i++) expect(await pauseAfter({ woken: 3, left: true, nextDueAtMs: inMs(-500) })).toBe(0);
  });

  it("grows when what is left cannot be woken", async () => {
    const { pauseAfter } = bench({ random: () => 0.999 });
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) pauses.push(await pauseAfter({ left: true }));
    expect(pauses).toEqual([1_000, 1_998, 3_996, 7_992, 9_990, 9_990]);
    expect(await pauseAfter({ woken: 1, left: true })).toBe(0);
    expect(await pauseAfter({ left: true })).toBe(1_000);
  });

  it.each([
    ["long past", -HOUR_MS],
    ["far ahead", HOUR_MS],
    ["no instant at all", Number.NaN],
    ["endless", Number.NEGATIVE_INFINITY],
  ])("stays between the shortest and the longest when the server's clock is %s", async (_, aheadMs) => {
    const { pauseAfter, inMs } = bench();
    for (let i = 0; i < 50; i++) {
      const pauseMs = await pauseAfter({ nextDueAtMs: inMs(aheadMs) });
      expect(pauseMs).toBeGreaterThanOrEqual(1_000);
      expect(pauseMs).toBeLessThanOrEqual(EVERY_MS);
    }
  });

  it("doubles with each early look that finds nothing, and is short again once one is found", async () => {
    const { pauseAfter, inMs } = bench();
    const pauses: number[] = [];
    for (let i = 0; i < 5; i++) pauses.push(await pauseAfter({ nextDueAtMs: inMs(-HOUR_MS) }));
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 10_000]);
    expect(await pauseAfter({ woken: 1, nextDueAtMs: inMs(-HOUR_MS) })).toBe(1_000);
  });

  it("is spread where others drain the same queue", async () => {
    const random = seededRandom(1);
    const { pauseAfter, inMs } = bench({ isShared: true, random });
    const idle = await Promise.all(Array.from({ length: 200 }, () => pauseAfter({})));
    expect(Math.max(...idle)).toBeLessThanOrEqual(EVERY_MS);
    expect(Math.min(...idle)).toBeGreaterThanOrEqual(0.9 * EVERY_MS);
    expect(new Set(idle).size).toBeGreaterThan(100);
    const due = await Promise.all(
      Array.from({ length: 200 }, () => pauseAfter({ woken: 1, nextDueAtMs: inMs(4_000) })),
    );
    expect(Math.min(...due)).toBeGreaterThanOrEqual(4_050);
    expect(Math.max(...due)).toBeLessThanOrEqual(5_050);
    expect(new Set(due).size).toBeGreaterThan(100);
  });
});

describe("a drain that fails", () => {
  it("causes an event, and is retried after a backoff that grows to the interval", async () => {
    const { failing, events, pauseAfter } = bench({ random: () => 0.999 });
    const error = new Error("no answer");
    const pauses: number[] = [];
    for (let i = 0; i < 7; i++) pauses.push(await failing(error));
    expect(pauses).toEqual([1_000, 1_998, 3_996, 7_992, 9_990, 9_990, 9_990]);
    expect(events).toEqual(Array.from({ length: 7 }, () => ({ type: "drain_failed", error })));
    expect(await pauseAfter({})).toBe(EVERY_MS);
    expect(await failing(error)).toBe(1_000);
  });

  it("waits as long as the backend asks, a quarter of an hour at most", async () => {
    const { failing } = bench();
    const asking = (retryAfterMs: number) => new CoordinationError("rate_limited", "patience", { retryAfterMs });
    expect(await failing(asking(60_000))).toBe(60_000);
    expect(await failing(asking(86_400_000))).toBe(900_000);
    expect(await failing(asking(1))).toBeGreaterThanOrEqual(1_000);
  });

  it.each<[string, () => Drainable]>([
    [
      "throws at once",
      () =>
        drained(() => {
          throw new Error("at once");
        }),
    ],
    ["reports nothing", () => drained(async () => undefined as never)],
    ["belongs to no coordinator", () => undefined as never],
    ["is not there", () => new MemoryCoordinator() as never],
    [
      "has no coordinator that can be made",
      () => {
        throw new Error("no address");
      },
    ],
  ])("never rejects: one that %s", async (_, coordinator) => {
    const { rounds, events } = bench();
    expect(await rounds.drain(coordinator)).toBe(1_000);
    expect(events).toMatchObject([{ type: "drain_failed" }]);
  });

  it("never rejects: one whose hook throws", async () => {
    const { failing } = bench({
      onEvent: () => {
        throw new Error("hook");
      },
    });
    expect(await failing(new Error("no answer"))).toBe(1_000);
  });

  it("is given up when it does not end, and told to stop", async () => {
    const { rounds, events, clock } = bench();
    let signal: AbortSignal | undefined;
    const pause = rounds.drain(() =>
      drained((options) => {
        signal = options.signal;
        return new Promise(() => {});
      }),
    );
    await clock.advance(839_999);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(await pause).toBe(1_000);
    expect(signal?.aborted).toBe(true);
    expect(events).toMatchObject([{ type: "drain_failed", error: { code: "backend_unavailable", retryable: true } }]);
    await settle();
    expect(clock.pending).toBe(0);
  });
});

it("hands on the limit and the budget, and nothing where none is given", async () => {
  const seen: DrainOptions[] = [];
  const coordinator = drained(async (options) => {
    seen.push(options);
    return NOTHING;
  });
  await bench({ limit: 7, budgetMs: 900 }).rounds.drain(() => coordinator);
  await bench().rounds.drain(() => coordinator);
  expect(seen).toMatchObject([{ limit: 7, budgetMs: 900 }, {}]);
  expect(Object.keys(seen[1] ?? {})).toEqual(["signal"]);
});

/** A due queue under a clock of its own. Each drain takes time, fails at times, and another drainer takes a record now and then. */
async function largestLatenessMs(seed: number, options: { skewMs: number; mayFail: boolean }) {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const dueAtMs: number[] = [];
  let arrivesAtMs = clock.now();
  let nowMs = clock.now();
  let latenessMs = 0;
  let isBehind = false;
  const rounds = new DrainRounds({
    everyMs: EVERY_MS,
    isShared: seed % 2 === 0,
    clock: { now: () => nowMs, setTimer: () => () => {} },
    random,
    onEvent: undefined,
  });
  const drain: Drain = async () => {
    while (arrivesAtMs <= nowMs) {
      dueAtMs.push(arrivesAtMs + random() * 30_000);
      arrivesAtMs += random() * 8_000;
    }
    dueAtMs.sort((a, b) => a - b);
    if (options.mayFail && random() < 0.2) {
      isBehind = true;
      throw new CoordinationError("backend_unavailable", "no answer", { retryable: true });
    }
    let woken = 0;
    while (dueAtMs[0] !== undefined && dueAtMs[0] <= nowMs && woken < 3) {
      // What piled up in an outage is late by the outage.
      if (!isBehind) latenessMs = Math.max(latenessMs, nowMs - dueAtMs[0]);
      dueAtMs.shift();
      woken++;
    }
    if (random() < 0.2) dueAtMs.shift();
    const next = dueAtMs[0];
    const left = next !== undefined && next <= nowMs;
    isBehind &&= left;
    nowMs += random() * 200;
    return { woken, left, nextDueAtMs: next === undefined ? undefined : next + options.skewMs };
  };
  const coordinator = drained(drain);
  for (let i = 0; i < 150; i++) nowMs += Math.max(1, await rounds.drain(() => coordinator));
  return latenessMs;
}

describe("lateness", () => {
  it.each([0, 40, -40, 3_000, -3_000, HOUR_MS, -HOUR_MS])(
    "is the interval and a drain at most, with the server's clock %i ms ahead",
    async (skewMs) => {
      for (let seed = 1; seed <= 40; seed++) {
        const mayFail = seed % 4 === 3;
        expect(await largestLatenessMs(seed, { skewMs, mayFail })).toBeLessThanOrEqual(EVERY_MS + 200);
      }
    },
  );
});

it.each([
  [{ everyMs: 99 }, "everyMs"],
  [{ everyMs: 86_400_001 }, "everyMs"],
  [{ everyMs: Number.NaN }, "everyMs"],
  [{ minPauseMs: 9 }, "minPauseMs"],
  [{ minPauseMs: EVERY_MS + 1 }, "minPauseMs"],
  [{ limit: 0 }, "limit"],
  [{ limit: 10_001 }, "limit"],
  [{ budgetMs: 0 }, "budgetMs"],
  [{ budgetMs: 600_001 }, "budgetMs"],
])("refuses %j", (options, field) => {
  expect(() => bench(options)).toThrow(
    expect.objectContaining({ code: "invalid_input", message: expect.stringContaining(field) }),
  );
});
