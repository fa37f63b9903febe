import { describe, expect, it } from "vitest";
import { CoordinationError } from "../src/index.js";
import { AbortListeners } from "../src/lib/abort-listeners.js";
import type { Watched } from "../src/runtime/backend.js";
import { WaitLoop } from "../src/runtime/wait-loop.js";
import type { Notified, WaitSource } from "../src/runtime/wait-source.js";
import { ManualClock, settle } from "../src/testing/index.js";

const POLLING = { minMs: 500, maxMs: 5_000, notifiedMaxMs: 5_000 };
const open: Watched = { ready: false, version: 1 };
const ended: Watched = { ready: true, version: 1 };
const DAY_MS = 86_400_000;

function down(): Promise<never> {
  return Promise.reject(new CoordinationError("backend_unavailable", "down", { retryable: true }));
}

type Answer = () => Watched | Promise<Watched>;

/** A loop over a source that gives one answer after another, the last one for good. */
function lab(answers: readonly Answer[], options: Partial<WaitSource> & { readonly isLocal?: boolean } = {}) {
  const clock = new ManualClock();
  const looks: (AbortSignal | undefined)[] = [];
  let notified: Notified | undefined;
  let listening = 0;
  let emptied = 0;
  const { isLocal = false, ...more } = options;
  const source: WaitSource = {
    look: (signal) => {
      looks.push(signal);
      return (answers[looks.length - 1] ?? (answers.at(-1) as Answer))();
    },
    listen: (loop) => {
      notified = loop;
      listening++;
      return { isLive: () => true, leave: () => void listening-- };
    },
    ...(isLocal ? {} : { polling: POLLING }),
    ...more,
  };
  const loop = new WaitLoop({
    source,
    isLocal,
    clock,
    random: () => 0.5,
    signals: new AbortListeners(),
    graceMs: 0,
    onEmpty: () => void emptied++,
  });
  const message = (text?: string): void => notified?.notify({ text });
  return { clock, looks, loop, message, listening: () => listening, emptied: () => emptied };
}

/** An answer that comes when the test says so. */
function held(): { readonly answer: Answer; give(output: Watched): void } {
  let give: (output: Watched) => void = () => {};
  const promise = new Promise<Watched>((resolve) => {
    give = resolve;
  });
  return { answer: () => promise, give: (output) => give(output) };
}

const outcome = (wait: Promise<Watched>): Promise<unknown> => wait.catch((error: unknown) => error);

describe("callers that ask the same", () => {
  it("row 52: share one look and one output, which none of them can change", async () => {
    const first = held();
    const { loop, looks, emptied } = lab([first.answer]);
    const waits = Array.from({ length: 1_000 }, () => loop.wait({ timeoutMs: DAY_MS }));
    await settle();
    expect(looks).toHaveLength(1);
    first.give({ ready: true, version: 1, view: { errors: [{ message: "x" }] } } as Watched);
    const outputs = await Promise.all(waits);
    expect(new Set(outputs).size).toBe(1);
    const [output] = outputs as unknown as [{ view: { errors: { message: string }[] } }];
    expect(() => output.view.errors.push({ message: "y" })).toThrow(TypeError);
    expect(() => Object.assign(output.view.errors[0] as object, { message: "y" })).toThrow(TypeError);
    expect([looks.length, emptied()]).toEqual([1, 1]);
  });

  it("row 52: share the look that each change makes", async () => {
    const { loop, looks } = lab([() => open, () => open, () => ended], { isLocal: true });
    const waits = [loop.wait({ timeoutMs: DAY_MS }), loop.wait({ timeoutMs: DAY_MS })];
    expect(looks).toHaveLength(2);
    loop.notify();
    expect(await Promise.all(waits)).toEqual([ended, ended]);
    expect(looks).toHaveLength(3);
  });

  it("keep their own times and signals", async () => {
    const { loop, clock, emptied } = lab([async () => open]);
    const leaver = new AbortController();
    const waits = [
      outcome(loop.wait({ timeoutMs: 1_000 })),
      outcome(loop.wait({ timeoutMs: 5_000, signal: leaver.signal })),
      outcome(loop.wait({ timeoutMs: 9_000 })),
    ];
    await clock.advance(1_000);
    expect(await waits[0]).toMatchObject({ code: "wait_timeout", message: "not ready after 1000 ms" });
    leaver.abort("left");
    expect([await waits[1], emptied()]).toEqual(["left", 0]);
    await clock.advance(8_000);
    expect([await waits[2], emptied(), clock.pending]).toMatchObject([{ code: "wait_timeout" }, 1, 0]);
  });

  it("end together with an error that does not pass by itself", async () => {
    const error = new CoordinationError("unauthorized", "no");
    const { loop, emptied } = lab([() => Promise.reject(error)]);
    const waits = [1, 2, 3].map(() => outcome(loop.wait({ timeoutMs: DAY_MS })));
    expect(await Promise.all(waits)).toEqual([error, error, error]);
    expect(emptied()).toBe(1);
  });

  it("get a limit_exceeded error at once, though it is retryable", async () => {
    const error = new CoordinationError("limit_exceeded", "full", { retryable: true });
    const { loop } = lab([() => Promise.reject(error)]);
    expect(await outcome(loop.wait({ timeoutMs: DAY_MS }))).toBe(error);
  });
});

describe("a caller that comes later", () => {
  it("is not answered by a look that began before it came", async () => {
    const [first, second] = [held(), held()];
    const { loop, looks } = lab([first.answer, second.answer]);
    const early = loop.wait({ timeoutMs: DAY_MS });
    await settle();
    // The caller has restarted the group: it knows more than the look that is under way.
    const late = loop.wait({ timeoutMs: DAY_MS });
    first.give({ ready: true, version: 1 });
    expect(await early).toEqual({ ready: true, version: 1 });
    await settle();
    expect(looks).toHaveLength(2);
    second.give({ ready: true, version: 2 });
    expect(await late).toEqual({ ready: true, version: 2 });
  });

  it("believes no message of an earlier life than it has seen", async () => {
    const { loop, message, looks } = lab([async () => ({ ready: false, version: 5 })], {
      read: (text) => JSON.parse(text) as Watched,
    });
    const wait = loop.wait({ timeoutMs: DAY_MS });
    await settle();
    message(JSON.stringify({ ready: true, version: 4 }));
    await settle();
    expect(looks).toHaveLength(2);
    message(JSON.stringify({ ready: true, version: 5 }));
    expect(await wait).toEqual({ ready: true, version: 5 });
    expect(looks).toHaveLength(2);
  });

  it("believes no message at all before its own look was answered", async () => {
    const second = held();
    const { loop, message } = lab([async () => open, second.answer], { read: () => ended });
    const early = loop.wait({ timeoutMs: DAY_MS });
    await settle();
    let isOver = false;
    const late = loop.wait({ timeoutMs: DAY_MS }).finally(() => {
      isOver = true;
    });
    await settle();
    message("the end");
    expect(await early).toEqual(ended);
    expect(isOver).toBe(false);
    second.give({ ready: true, version: 2 });
    expect(await late).toEqual({ ready: true, version: 2 });
  });
});

describe("a wait that hears how it ended while it looks", () => {
  it("waits for no further answer, and aborts the read", async () => {
    const { loop, message, looks, emptied } = lab([async () => open, () => new Promise(() => {})], {
      read: (text) => (text === "the end" ? ended : undefined),
    });
    const wait = loop.wait({ timeoutMs: 2_000, lastReadMs: 2_000 });
    await settle();
    message("something else");
    await settle();
    expect(looks).toHaveLength(2);
    message("the end");
    expect(await wait).toEqual(ended);
    expect([looks[1]?.aborted, emptied()]).toEqual([true, 1]);
  });

  it("is aborted all the same where that came first", async () => {
    const { loop, message } = lab([async () => open], { read: () => ended });
    const controller = new AbortController();
    const wait = outcome(loop.wait({ timeoutMs: 2_000, signal: controller.signal }));
    await settle();
    controller.abort("gone");
    message("the end");
    expect(await wait).toBe("gone");
  });
});

describe("a wait that is over", () => {
  it("still reads what it was told of and could not read in time", async () => {
    const { loop, message, clock } = lab([async () => open, down, down, async () => ended]);
    const wait = loop.wait({ timeoutMs: 100, lastReadMs: 2_000 });
    await settle();
    message();
    await clock.advance(100);
    await clock.advance(1_000);
    expect(await wait).toEqual(ended);
    expect(clock.pending).toBe(0);
  });

  it("gives the late read time of its own, though a look is under way that hangs", async () => {
    const { loop, message, clock, looks } = lab([async () => open, () => new Promise(() => {}), async () => ended]);
    const waits = [1, 2, 3].map(() => loop.wait({ timeoutMs: 100, lastReadMs: 2_000 }));
    await settle();
    message();
    await clock.advance(100);
    expect(await Promise.all(waits)).toEqual([ended, ended, ended]);
    expect([looks.length, looks[1]?.aborted]).toEqual([3, true]);
  });

  it("ends at its timeout when the caller asked for no last read, or when no message came", async () => {
    for (const [lastReadMs, isTold] of [
      [0, true],
      [2_000, false],
    ] as const) {
      const { loop, message, clock } = lab([async () => open, down]);
      const wait = outcome(loop.wait({ timeoutMs: 100, lastReadMs }));
      await settle();
      if (isTold) message();
      await clock.advance(100);
      expect(await wait).toMatchObject({ code: "wait_timeout" });
    }
  });

  it("is over when the late read fails too, and by its signal", async () => {
    const { loop, message, clock } = lab([async () => open, down]);
    const controller = new AbortController();
    const waits = [undefined, controller.signal].map((signal) =>
      outcome(loop.wait({ timeoutMs: 100, lastReadMs: 2_000, signal })),
    );
    await settle();
    message();
    await clock.advance(1_000);
    controller.abort("gone");
    expect(await waits[1]).toBe("gone");
    await clock.advance(1_100);
    expect(await waits[0]).toMatchObject({ code: "wait_timeout" });
    expect(clock.pending).toBe(0);
  });
});

describe("a wait in the background", () => {
  it("does not listen, nor does it keep others' subscription", async () => {
    const { loop, listening, clock } = lab([async () => open]);
    void outcome(loop.wait({ timeoutMs: DAY_MS, background: true }));
    await clock.advance(1_000);
    expect(listening()).toBe(0);
    const foreground = outcome(loop.wait({ timeoutMs: 1_000 }));
    await settle();
    expect(listening()).toBe(1);
    await clock.advance(1_000);
    expect([await foreground, listening()]).toMatchObject([{ code: "wait_timeout" }, 0]);
  });

  it("has timers that keep no process alive; only a caller's own deadline does", async () => {
    const { loop, clock } = lab([async () => open, down, async () => open]);
    const kept: string[] = [];
    const { setTimer } = clock;
    clock.setTimer = (run: () => void, delayMs: number, options?: { background?: boolean }) => {
      if (options?.background !== true) kept.push(`${delayMs} ms`);
      return setTimer.call(clock, run, delayMs);
    };
    for (const background of [true, false])
      void outcome(loop.wait({ timeoutMs: DAY_MS + Number(background), background }));
    await clock.advance(20_000);
    expect(kept).toEqual([`${DAY_MS} ms`]);
  });
});

describe("a wait that is refused by its platform", () => {
  it("row 51: leaves nothing behind", async () => {
    const { loop, clock, emptied, looks } = lab([() => open], { isLocal: true });
    const { setTimer } = clock;
    clock.setTimer = () => {
      throw new Error("no timer left");
    };
    const controller = new AbortController();
    await expect(loop.wait({ timeoutMs: DAY_MS, signal: controller.signal })).rejects.toThrow("no timer left");
    clock.setTimer = setTimer;
    expect([emptied(), looks.length, clock.pending]).toEqual([1, 0, 0]);
    loop.notify();
    expect(looks).toHaveLength(0);
  });
});
