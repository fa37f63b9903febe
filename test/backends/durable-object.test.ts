import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { DurableObjectOptions, ObjectNamespace } from "../../src/backends/durable-object/options.js";
import type { ObjectReply, WatchClient } from "../../src/backends/durable-object/protocol.js";
import { CoordinationError } from "../../src/errors.js";
import { CompletionTracker } from "../../src/index.js";

type Answer = () => ObjectReply | Promise<ObjectReply>;

interface Call {
  readonly method: "run" | "runMany" | "watch" | "leave";
  readonly place: string;
  readonly args: readonly unknown[];
  readonly stub: object;
  readonly atMs: number;
}

/** A binding whose objects answer by the script, the last answer for ever. */
function scripted(...answers: Answer[]): { namespace: ObjectNamespace; calls: Call[]; gets: unknown[] } {
  const calls: Call[] = [];
  const gets: unknown[] = [];
  const make = (jurisdiction: string): ObjectNamespace => ({
    idFromName: (name) => ({ name: `${jurisdiction}${name}` }),
    jurisdiction: (name) => make(`${name}/`),
    get: (id, options) => {
      gets.push(options);
      const place = (id as { name: string }).name;
      const answer = (method: Call["method"], args: readonly unknown[]): ObjectReply | Promise<ObjectReply> => {
        calls.push({ method, place, args, stub, atMs: Date.now() });
        const next = answers.length > 1 ? answers.shift() : answers[0];
        return (next as Answer)();
      };
      const stub: object = {
        run: (...args: unknown[]) => answer("run", args),
        runMany: (...args: unknown[]) => answer("runMany", args),
        watch: (...args: unknown[]) => answer("watch", args),
        leave: (...args: unknown[]) => {
          calls.push({ method: "leave", place, args, stub, atMs: Date.now() });
          return lost();
        },
      };
      return stub;
    },
  });
  return { namespace: make(""), calls, gets };
}

const one: Answer = () => ({ ok: true, output: { result: "1" } });
const notReady: Answer = () => ({ ok: true, output: { ready: false, version: 1 } });
const ready: Answer = () => ({ ok: true, output: { ready: true, version: 1 } });
const never: Answer = () => new Promise(() => {});
const fails =
  (marks: object, Kind = Error): Answer =>
  () =>
    Promise.reject(Object.assign(new Kind("secret words"), marks));
const lost = fails({ retryable: true });
const overloaded = fails({ retryable: true, overloaded: true });
const late =
  (delayMs: number, answer: Answer): Answer =>
  () =>
    new Promise((resolve) => setTimeout(() => resolve(answer()), delayMs));

function make(namespace: ObjectNamespace, options: Partial<DurableObjectOptions> = {}): DurableObjectCoordinator {
  return new DurableObjectCoordinator({ namespace, random: () => 0.5, ...options });
}

/** What the promise rejects with, while the fake time goes on. */
async function fault(promise: Promise<unknown>, afterMs = 60_000): Promise<CoordinationError> {
  const caught = promise.then(
    () => expect.unreachable("it resolved"),
    (error: unknown) => error,
  );
  await vi.advanceTimersByTimeAsync(afterMs);
  return (await caught) as CoordinationError;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("an object's name", () => {
  it("is the prefix and the place", async () => {
    const { namespace, calls } = scripted(one);
    await make(namespace).getInt("{a}x");
    await make(namespace, { keyPrefix: "t7:" }).run("completion.status", "{a}x", {});
    expect(calls.map(({ place }) => place)).toEqual(["coord:{kv}a", "t7:{completion}{a}x"]);
  });

  it("lies in the jurisdiction, and the hint goes along", async () => {
    const { namespace, calls, gets } = scripted(one);
    await make(namespace, { jurisdiction: "eu", locationHint: "weur" }).getInt("k");
    expect(calls[0]?.place).toBe("eu/coord:{kv}k");
    expect(gets).toEqual([{ locationHint: "weur" }]);
  });

  it("is refused when the binding refuses it", async () => {
    const { namespace, calls } = scripted(one);
    const refuses: ObjectNamespace = {
      ...namespace,
      jurisdiction: () => {
        throw new TypeError("no such jurisdiction");
      },
    };
    expect(await fault(make(refuses, { jurisdiction: "mars" }).getInt("k"))).toMatchObject({ code: "misconfigured" });
    expect(calls).toHaveLength(0);
  });
});

describe("options", () => {
  it("are checked when they are given", () => {
    const { namespace } = scripted(one);
    const broken: [Partial<DurableObjectOptions>, string][] = [
      [{ namespace: undefined as unknown as ObjectNamespace }, "misconfigured"],
      [{ keyPrefix: "{a}" }, "invalid_input"],
      [{ ttlSec: -1 }, "invalid_input"],
      [{ completionTimeoutSec: Number.NaN }, "invalid_input"],
      [{ callTimeoutMs: 0 }, "invalid_input"],
    ];
    for (const [options, code] of broken) {
      expect(() => make(namespace, options)).toThrow(expect.objectContaining({ code }));
    }
  });

  it("leave handlers to the object", () => {
    const wake = { input: () => ({}), act: async () => {} };
    const { namespace } = scripted(one);
    expect(() => make(namespace).onWake("completion", wake)).toThrow(expect.objectContaining({ code: "unsupported" }));
    const refusal = {
      code: "unsupported",
      message: expect.stringMatching(/attemptTimeoutSec on your CoordinatorObject/),
    };
    expect(() => new CompletionTracker(make(namespace), { attemptTimeoutSec: 300 })).toThrow(
      expect.objectContaining(refusal),
    );
  });
});

describe("a call", () => {
  const write = { op: "op", ttlMs: 0, delta: 1 };

  it("is sent once when it succeeds", async () => {
    const { namespace, calls } = scripted(one);
    expect(await make(namespace).getInt("k")).toBe(1);
    expect(calls).toMatchObject([{ method: "run", args: ["kv.getInt", "k", {}] }]);
  });

  it("is sent again with a fresh stub where that is harmless", async () => {
    const { namespace, calls } = scripted(lost, fails({ durableObjectReset: true }), one);
    const run = make(namespace).run("kv.incr", "k", write);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await run).toEqual({ result: "1" });
    expect(calls).toHaveLength(3);
    expect(new Set(calls.map(({ stub }) => stub)).size).toBe(3);
    expect(calls.map(({ args }) => args[2])).toEqual([write, write, write]);
  });

  it("is sent three times at most", async () => {
    const { namespace, calls } = scripted(lost);
    expect(await fault(make(namespace).run("kv.incr", "k", write))).toMatchObject({
      code: "backend_unavailable",
      retryable: true,
      applied: "unknown",
    });
    expect(calls).toHaveLength(3);
  });

  it.each([
    ["it must not be", lost, { resend: false }, "backend_unavailable"],
    ["the object is overloaded", overloaded, {}, "rate_limited"],
    ["the platform does not say that it may help", fails({}), {}, "backend_unavailable"],
    ["the class is another one", fails({ remote: true }, TypeError), {}, "misconfigured"],
  ])("is not sent again when %s", async (_why, answer, options, code) => {
    const { namespace, calls } = scripted(answer);
    const error = await fault(make(namespace).run("kv.incr", "k", write, options));
    expect(error).toBeInstanceOf(CoordinationError);
    expect(error).toMatchObject({ code });
    expect(calls).toHaveLength(1);
  });

  it.each([{}, { durableObjectReset: true }, { remote: true }])(
    "to a class without SQLite says what is missing: %j",
    async (m) => {
      const text = "SQL is not enabled for this Durable Object class. To enable it, set the `new_sqlite_classes` field";
      const { namespace, calls } = scripted(() => Promise.reject(Object.assign(new Error(text), m)));
      expect(await fault(make(namespace).run("kv.incr", "k", write))).toMatchObject({
        code: "misconfigured",
        message: "the object's class needs new_sqlite_classes in [[migrations]]",
        retryable: false,
        applied: "no",
      });
      expect(calls).toHaveLength(1);
      const wait = make(namespace).watch("completion.wait", "g", {}, { timeoutMs: 60_000 });
      expect(await fault(wait, 0)).toMatchObject({ code: "misconfigured" });
    },
  );

  it("reports applied: unknown when its outcome is lost, and applied: no when it only reads", async () => {
    const { namespace } = scripted(fails({}));
    expect(await fault(make(namespace).incr("k"))).toMatchObject({ applied: "unknown" });
    expect(await fault(make(namespace).getInt("k"))).toMatchObject({ applied: "no" });
  });

  it("never shows what the platform's error says", async () => {
    for (const answer of [lost, overloaded, fails({}), fails({ remote: true }, TypeError)]) {
      const error = await fault(make(scripted(answer).namespace).incr("k"));
      expect(error.message).not.toContain("secret");
      expect(error.cause).toBeUndefined();
    }
  });

  it("carries the object's own faults over", async () => {
    const reply: ObjectReply = {
      ok: false,
      code: "backend_rejected",
      message: "kv.incr: newer_schema",
      retryable: false,
    };
    const { namespace, calls } = scripted(() => reply);
    expect(await fault(make(namespace).run("kv.incr", "k", write))).toMatchObject({
      code: "backend_rejected",
      message: "kv.incr: newer_schema",
      applied: "no",
    });
    expect(calls).toHaveLength(1);
  });

  it("refuses an answer of another shape", async () => {
    for (const reply of [undefined, null, "ok", {}, { ok: "yes" }]) {
      const { namespace } = scripted(() => reply as unknown as ObjectReply);
      expect(await fault(make(namespace).getInt("k"))).toMatchObject({ code: "backend_rejected" });
    }
  });

  it("ends in time with an object that is silent", async () => {
    const { namespace } = scripted(never);
    const t0 = Date.now();
    const error = fault(make(namespace, { callTimeoutMs: 500 }).incr("k"), 500);
    expect(await error).toMatchObject({ code: "backend_unavailable", applied: "unknown" });
    expect(Date.now() - t0).toBe(500);
  });

  it("rejects with the signal's reason, at once and whenever", async () => {
    for (const answers of [[never], [lost, never]] as Answer[][]) {
      const abort = new AbortController();
      const error = fault(
        make(scripted(...answers).namespace).run("kv.incr", "k", write, { signal: abort.signal }),
        100,
      );
      await vi.advanceTimersByTimeAsync(20);
      abort.abort("stop");
      expect(await error).toBe("stop");
    }
    const { namespace, calls } = scripted(one);
    const aborted = make(namespace).run("kv.getInt", "k", {}, { signal: AbortSignal.abort("before") });
    expect(await fault(aborted, 0)).toBe("before");
    expect(calls).toHaveLength(0);
  });
});

describe("a wait", () => {
  const wait = (namespace: ObjectNamespace, timeoutMs: number, signal?: AbortSignal) =>
    make(namespace).watch("completion.wait", "g", {}, { timeoutMs, signal });

  it("goes on hop by hop with fresh stubs, the last one as long as what is left", async () => {
    const { namespace, calls } = scripted(late(25_000, notReady), late(25_000, notReady), late(5_000, ready));
    const watch = wait(namespace, 60_000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await watch).toEqual({ ready: true, version: 1 });
    expect(calls.map(({ args }) => args[3])).toEqual([25_000, 25_000, 10_000]);
    expect(new Set(calls.map(({ stub }) => stub)).size).toBe(3);
  });

  it("looks once when it has no time", async () => {
    const { namespace, calls } = scripted(late(300, notReady));
    expect(await fault(wait(namespace, 0), 300)).toMatchObject({ code: "wait_timeout" });
    expect(calls).toHaveLength(1);
    const watch = wait(scripted(late(300, ready)).namespace, 0);
    await vi.advanceTimersByTimeAsync(300);
    expect(await watch).toEqual({ ready: true, version: 1 });
    expect(await fault(wait(scripted(lost).namespace, 0))).toMatchObject({
      code: "backend_unavailable",
      applied: "no",
    });
  });

  it("row 54: outlives one connection that breaks under a single look, as a status does", async () => {
    const { namespace, calls } = scripted(lost, ready);
    const watch = wait(namespace, 0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await watch).toEqual({ ready: true, version: 1 });
    expect(calls).toHaveLength(2);
  });

  it.each([
    ["silent", never],
    ["unreachable", lost],
    ["overloaded", overloaded],
  ])("ends within 100 ms of its time when the object is %s", async (_how, answer) => {
    const { namespace, calls } = scripted(answer);
    const t0 = Date.now();
    let endedAtMs = 0;
    const watch = wait(namespace, 40_000).finally(() => {
      endedAtMs = Date.now();
    });
    expect(await fault(watch)).toMatchObject({ code: "wait_timeout" });
    expect(endedAtMs - t0).toBeGreaterThanOrEqual(40_000);
    expect(endedAtMs - t0).toBeLessThanOrEqual(40_100);
    expect(calls.length).toBeLessThan(100);
  });

  it("gives a hop up that outlasts itself, and looks again", async () => {
    const { namespace, calls } = scripted(never, ready);
    const watch = wait(namespace, 120_000);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await watch).toEqual({ ready: true, version: 1 });
    expect(calls[1]?.atMs).toBeLessThan((calls[0]?.atMs ?? 0) + 38_000);
  });

  it("absorbs what passes, with growing pauses of 0.25 to 2 s", async () => {
    const { namespace, calls } = scripted(lost, lost, lost, lost, lost, lost, ready);
    const watch = wait(namespace, 60_000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await watch).toEqual({ ready: true, version: 1 });
    const pauses = calls.slice(1).map(({ atMs }, i) => atMs - (calls[i]?.atMs ?? 0));
    expect(pauses).toEqual([375, 750, 1_500, 1_500, 1_500, 1_500]);
  });

  it("does not wait for what will not pass", async () => {
    const full: Answer = () => ({ ok: false, code: "limit_exceeded", message: "full", retryable: true });
    expect(await fault(wait(scripted(full).namespace, 60_000), 0)).toMatchObject({ code: "limit_exceeded" });
    const { namespace } = scripted(fails({ remote: true }, TypeError));
    expect(await fault(wait(namespace, 60_000), 0)).toMatchObject({ code: "misconfigured" });
  });

  it("rejects with the signal's reason, at once and whenever", async () => {
    for (const answer of [never, lost]) {
      const abort = new AbortController();
      const error = fault(wait(scripted(answer).namespace, 60_000, abort.signal), 50);
      await vi.advanceTimersByTimeAsync(20);
      abort.abort("stop");
      expect(await error).toBe("stop");
    }
    const { namespace, calls } = scripted(ready);
    expect(await fault(wait(namespace, 60_000, AbortSignal.abort("before")), 0)).toBe("before");
    expect(calls).toHaveLength(0);
  });
});

describe("a wait that is left", () => {
  /** What a wait's call gave along. */
  const clientOf = (call: Call | undefined) => call?.args[4] as WatchClient;

  it("row 53: is ended in the object too, within the caller's waitUntil, though the object may be gone", async () => {
    const kept: Promise<unknown>[] = [];
    const { namespace, calls } = scripted(never);
    const coordinator = make(namespace, { waitUntil: (work) => void kept.push(work) });
    const controller = new AbortController();
    const options = { timeoutMs: 60_000, signal: controller.signal };
    const error = fault(coordinator.watch("completion.wait", "g", {}, options), 50);
    await vi.advanceTimersByTimeAsync(20);
    expect([calls.length, kept.length]).toEqual([1, 0]);
    controller.abort("gone");
    expect([await error, calls.length, kept.length]).toEqual(["gone", 2, 1]);
    await kept[0];
    const [watch, leave] = calls;
    expect(leave).toMatchObject({ method: "leave", args: [clientOf(watch).ticket], stub: watch?.stub });
  });

  it("tells the object nothing where its hop is over by itself", async () => {
    const { namespace, calls } = scripted(late(25_000, notReady), late(5_000, notReady));
    expect(await fault(wait(namespace, 30_000))).toMatchObject({ code: "wait_timeout" });
    const silent = scripted(never);
    expect(await fault(wait(silent.namespace, 10_000))).toMatchObject({ code: "wait_timeout" });
    expect([...calls, ...silent.calls].map(({ method }) => method)).toEqual(["watch", "watch", "watch"]);
  });

  it("lasts 10 s at most in the object, on a platform whose requests end without a word", async () => {
    vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
    const hopsOf = async (options: Partial<DurableObjectOptions>): Promise<unknown[]> => {
      const { namespace, calls } = scripted(notReady, ready);
      const watch = make(namespace, options).watch("completion.wait", "g", {}, { timeoutMs: 60_000 });
      await vi.advanceTimersByTimeAsync(60_000);
      await watch;
      return calls.map(({ args }) => args[3]);
    };
    try {
      expect((await hopsOf({}))[0]).toBe(10_000);
      expect((await hopsOf({ waitUntil: () => {} }))[0]).toBe(25_000);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("row 52: takes a large reply that the object hands over", async () => {
    const large = { ready: true, version: 1, view: { metadata: "x" } };
    const { namespace, calls } = scripted(async () => {
      await clientOf(calls[0]).take({ ok: true, output: large });
      return { ok: true, isTaken: true } as never;
    });
    const watch = wait(namespace, 60_000);
    await vi.advanceTimersByTimeAsync(10);
    expect(await watch).toEqual(large);
  });

  it("asks again where the object could not hand a large reply over", async () => {
    const missed: Answer = () => ({ ok: false, code: "backend_unavailable", message: "not taken", retryable: true });
    const { namespace, calls } = scripted(missed, ready);
    const watch = wait(namespace, 60_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await watch).toEqual({ ready: true, version: 1 });
    expect(calls).toHaveLength(2);
  });

  const wait = (namespace: ObjectNamespace, timeoutMs: number) =>
    make(namespace).watch("completion.wait", "g", {}, { timeoutMs });
});

describe("operations that begin in one turn", () => {
  const reply = (result: string): ObjectReply => ({ ok: true, output: { result } });
  const many = (...replies: ObjectReply[]): Answer => (() => replies) as unknown as Answer;

  it("share a call if they are for one object, in their order, and each has its own reply", async () => {
    const { namespace, calls } = scripted(many(reply("1"), reply("2")), () => reply("3"));
    const coordinator = make(namespace);
    const results = await Promise.all([coordinator.incr("{n}a"), coordinator.incr("{m}"), coordinator.getInt("{n}b")]);
    expect(results).toEqual([1, 3, 2]);
    expect(calls.map(({ method, place }) => [method, place])).toEqual([
      ["runMany", "coord:{kv}n"],
      ["run", "coord:{kv}m"],
    ]);
    expect(calls[0]?.args).toMatchObject([
      [
        { transition: "kv.incr", id: "{n}a", input: { delta: 1 } },
        { transition: "kv.getInt", id: "{n}b", input: {} },
      ],
    ]);
  });

  it("fail by themselves where the object says so, and together where the call fails", async () => {
    const refusal: ObjectReply = { ok: false, code: "backend_rejected", message: "no", retryable: false };
    const { namespace } = scripted(many(refusal, reply("2")), many(reply("1")), fails({ remote: true }));
    const coordinator = make(namespace);
    const settled = () => Promise.allSettled([coordinator.incr("n"), coordinator.incr("n")]);
    expect(await settled()).toMatchObject([{ reason: { code: "backend_rejected" } }, { value: 2 }]);
    expect(await settled()).toMatchObject([{ value: 1 }, { reason: { code: "backend_rejected", applied: "unknown" } }]);
    const lostToBoth = { reason: { code: "backend_unavailable", applied: "unknown" } };
    expect(await settled()).toMatchObject([lostToBoth, lostToBoth]);
  });

  it("go one by one to an object that still runs an earlier version", async () => {
    const lacks = fails({ remote: true }, TypeError);
    const { namespace, calls } = scripted(
      lacks,
      () => reply("1"),
      () => reply("2"),
    );
    const coordinator = make(namespace);
    expect(await Promise.all([coordinator.incr("n"), coordinator.incr("n")])).toEqual([1, 2]);
    expect(calls.map(({ method }) => method)).toEqual(["runMany", "run", "run"]);
    expect(new Set(calls.map(({ stub }) => stub)).size).toBe(1);
  });

  it("take several calls when they are many, one after the other", async () => {
    const { namespace, calls } = scripted(many(...Array.from({ length: 128 }, (_, i) => reply(String(i)))));
    const coordinator = make(namespace);
    const results = await Promise.all(Array.from({ length: 256 }, () => coordinator.incr("n")));
    expect(results).toEqual(Array.from({ length: 256 }, (_, i) => i % 128));
    expect(calls.map(({ method }) => method)).toEqual(["runMany", "runMany"]);
  });

  it("may be left by one of their callers without the others", async () => {
    const answered = late(100, many(reply("1"), reply("2")));
    const { namespace } = scripted(answered);
    const coordinator = make(namespace);
    const controller = new AbortController();
    const input = { op: "op", ttlMs: 0, delta: 1 };
    const leaving = coordinator.run("kv.incr", "n", input, { signal: controller.signal });
    const staying = coordinator.incr("n");
    leaving.catch(() => {});
    await vi.advanceTimersByTimeAsync(10);
    controller.abort(new Error("gone"));
    await vi.advanceTimersByTimeAsync(200);
    await expect(leaving).rejects.toThrow("gone");
    expect(await staying).toBe(2);
  });
});
