import { afterEach, describe, expect, it, vi } from "vitest";
import { CoordinationError } from "../src/index.js";
import type { Watched } from "../src/runtime/backend.js";
import { GRACE_MS, longPoll } from "../src/runtime/long-poll.js";
import { Waiters } from "../src/runtime/waiters.js";
import { ManualClock, settle } from "../src/testing/index.js";

const DAY_MS = 86_400_000;
const open: Watched = { ready: false, version: 1, recheckInMs: 1_000 };
const ended: Watched = { ready: true, version: 1 };

interface Hop {
  readonly ms: number;
  readonly signal: AbortSignal;
  answer(output: Watched | undefined): void;
  fail(error: unknown): void;
}

/** Waits over hops that end when the test says so, and single looks that are answered at once. */
function lab(look: () => Watched | Promise<Watched> = () => open) {
  const clock = new ManualClock();
  const hops: Hop[] = [];
  let looks = 0;
  const hop = (ms: number, signal: AbortSignal): Promise<Watched | undefined> =>
    new Promise((resolve, reject) => {
      hops.push({ ms, signal, answer: resolve, fail: reject });
    });
  const waiters = new Waiters({
    clock,
    random: () => 0.5,
    graceMs: GRACE_MS,
    source: () => ({
      looksByListening: true,
      listen: (loop) => longPoll(loop, { clock, random: () => 0.5, maxHopMs: 25_000, hop }),
      look: async () => {
        looks++;
        return look();
      },
    }),
    lookOnce: look,
  });
  const wait = (timeoutMs = DAY_MS, signal?: AbortSignal) =>
    waiters.watch({ transition: "completion.wait", id: "g", input: {} }, { timeoutMs, signal });
  return { clock, hops, waiters, wait, looks: () => looks };
}

const outcome = (wait: Promise<unknown>): Promise<unknown> => wait.catch((error: unknown) => error);

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a long poll", () => {
  it("row 52: is one request for all callers that begin to wait in a turn, without extra reads", async () => {
    const { wait, hops, looks } = lab();
    const waits = Array.from({ length: 1_000 }, () => wait());
    await settle();
    expect([hops.length, looks()]).toEqual([1, 0]);
    hops[0]?.answer(ended);
    expect(new Set(await Promise.all(waits)).size).toBe(1);
    expect(hops).toHaveLength(1);
  });

  it("answers callers that join while it is under way, after one read that they share", async () => {
    const { wait, hops, looks, clock } = lab();
    const first = wait();
    await settle();
    const rest = [wait(), wait()];
    await settle();
    expect([hops.length, looks()]).toEqual([1, 1]);
    // The other side looks again by itself: what the output names is not for this side.
    await clock.advance(10_000);
    expect(looks()).toBe(1);
    hops[0]?.answer(ended);
    expect(await Promise.all([first, ...rest])).toEqual([ended, ended, ended]);
  });

  it("does not answer a caller that knows a newer version", async () => {
    const { wait, hops, clock } = lab(() => ({ ready: false, version: 2 }));
    const first = wait();
    await settle();
    // This caller has restarted the group while the answer to the first was on its way.
    let isOver = false;
    const second = wait().finally(() => {
      isOver = true;
    });
    hops[0]?.answer({ ready: true, version: 1 });
    expect(await first).toEqual({ ready: true, version: 1 });
    await settle();
    expect(isOver).toBe(false);
    await clock.advance(1_000);
    hops[1]?.answer({ ready: true, version: 2 });
    expect(await second).toEqual({ ready: true, version: 2 });
  });

  it("lasts as long as the longest wait, and is sent again when its time is over", async () => {
    const { wait, hops, clock } = lab();
    const [short, long] = [outcome(wait(10_000)), outcome(wait(30_000))];
    await settle();
    await clock.advance(10_000 + GRACE_MS);
    expect(await short).toMatchObject({ code: "wait_timeout" });
    await clock.advance(15_000 - GRACE_MS);
    hops[0]?.answer(undefined);
    await settle();
    await clock.advance(5_000);
    hops[1]?.answer(open);
    // By the answer, and not by the grace after its time.
    expect(await long).toMatchObject({ code: "wait_timeout" });
    expect(hops.map(({ ms }) => ms)).toEqual([25_000, 5_000]);
    expect(clock.pending).toBe(0);
  });

  it("row 53: is aborted when the last waiting caller has left", async () => {
    const { wait, hops, waiters, clock } = lab();
    const leavers = [new AbortController(), new AbortController()];
    const waits = leavers.map(({ signal }) => outcome(wait(DAY_MS, signal)));
    await settle();
    leavers[0]?.abort("one");
    expect([await waits[0], hops[0]?.signal.aborted]).toEqual(["one", false]);
    leavers[1]?.abort("two");
    expect([await waits[1], hops[0]?.signal.aborted]).toEqual(["two", true]);
    hops[0]?.fail(new Error("aborted"));
    await settle();
    expect([hops.length, waiters.size, clock.pending]).toEqual([1, 0, 0]);
  });

  it("is asked again after what passes, and ends with what does not", async () => {
    const { wait, hops, clock } = lab();
    const waits = [outcome(wait()), outcome(wait())];
    await settle();
    hops[0]?.fail(new CoordinationError("backend_unavailable", "down", { retryable: true, retryAfterMs: 3_000 }));
    await clock.advance(2_999);
    expect(hops).toHaveLength(1);
    await clock.advance(1);
    expect(hops).toHaveLength(2);
    const error = new CoordinationError("unauthorized", "no");
    hops[1]?.fail(error);
    expect(await Promise.all(waits)).toEqual([error, error]);
    expect(clock.pending).toBe(0);
  });

  it("row 51: ends with the platform's error where no timer is left for a pause, in place of asking in a loop", async () => {
    const { wait, hops, clock } = lab();
    const waiting = outcome(wait());
    await settle();
    clock.setTimer = () => {
      throw new Error("no timer left");
    };
    hops[0]?.fail(new CoordinationError("backend_unavailable", "down", { retryable: true }));
    expect(await waiting).toMatchObject({ message: "no timer left" });
    expect(hops).toHaveLength(1);
  });
});

describe("waits on an edge platform", () => {
  it("fault 39: share nothing, and hear nothing of each other's writes", async () => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    const { wait, hops, waiters, looks } = lab();
    const waits = [wait(), wait(), wait()];
    await settle();
    expect([hops.length, looks()]).toEqual([3, 0]);
    waiters.notify("completion:g");
    await settle();
    expect(looks()).toBe(0);
    for (const hop of hops) hop.answer({ ...ended });
    expect(new Set(await Promise.all(waits)).size).toBe(3);
  });
});

describe("the waits of a coordinator", () => {
  it("row 51: are refused beyond their bound before anything is taken, and may be tried again", async () => {
    const clock = new ManualClock();
    let output: Watched = open;
    const waiters = new Waiters({
      clock,
      isLocal: true,
      maxWaits: 2,
      source: () => ({ look: () => output }),
      lookOnce: () => output,
    });
    const wait = (id: string) => waiters.watch({ transition: "completion.wait", id, input: {} }, { timeoutMs: DAY_MS });
    const held = [wait("a"), wait("b")];
    const timers = clock.pending;
    for (const id of ["a", "c"]) {
      await expect(wait(id)).rejects.toMatchObject({ code: "limit_exceeded", retryable: true, applied: "no" });
    }
    expect([waiters.size, clock.pending]).toEqual([2, timers]);
    // A single look holds nothing.
    const once = { transition: "completion.wait", id: "c", input: {} } as const;
    await expect(waiters.watch(once, { timeoutMs: 0 })).rejects.toMatchObject({ code: "wait_timeout" });
    output = { ready: true, version: 1 };
    for (const id of ["a", "b"]) waiters.notify(`completion:${id}`);
    await Promise.all(held);
    expect([waiters.size, clock.pending]).toEqual([0, 0]);
    expect(await wait("c")).toEqual(output);
  });

  it("share a look only where transition, record and input are the same", async () => {
    const asked: string[] = [];
    const waiters = new Waiters({
      clock: new ManualClock(),
      source: ({ transition, id, input }) => {
        asked.push(`${transition} ${id} ${JSON.stringify(input)}`);
        return { look: async () => open };
      },
      lookOnce: async () => open,
    });
    const options = { timeoutMs: DAY_MS };
    for (const after of ["1.0", "1.1", "1.1"]) {
      for (const id of ["a", "b"]) {
        void outcome(waiters.watch({ transition: "request.progress", id, input: { after } }, options));
        void outcome(waiters.watch({ transition: "request.wait", id, input: {} }, options));
      }
    }
    await settle();
    expect(asked).toHaveLength(6);
    expect(new Set(asked).size).toBe(6);
  });
});
