import { describe, expect, it, vi } from "vitest";
import { keysOf } from "../../../src/backends/upstash/keys.js";
import { CompletionTracker, RequestWaitTracker } from "../../../src/index.js";
import { startBlackHole } from "../../support/fault-proxy.js";
import { overshootMs } from "../../support/overshoot.js";
import { acks, registration, SkewedCoordinator, TOKEN, useLab } from "./support.js";

const lab = useLab();

/** Milliseconds that the work took. */
async function timed(work: Promise<unknown>): Promise<number> {
  const sinceMs = performance.now();
  await work.catch(() => {});
  return performance.now() - sinceMs;
}

const channelsOpen = async (): Promise<number> =>
  ((await lab.raw.pubsub("CHANNELS", "*")) as string[]).filter((name) => name.startsWith(lab.keyPrefix)).length;

describe("a watch", () => {
  it("hears of the end at once", async () => {
    const coordinator = lab.coordinator();
    await coordinator.run("completion.register", "g", registration());
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000 });
    await expect.poll(channelsOpen).toBe(1);
    await pause(60);
    const tookMs = timed(waiting);
    lab.rest.requests.clear();
    await lab.coordinator().run("completion.ack", "g", acks("a"));
    // By the message: the next look by itself is 4 s away.
    expect(await tookMs).toBeLessThan(2_000);
    expect((await waiting).view?.state).toBe("completed");
    expect(lab.rest.requests.count("command")).toBe(1);
  });

  it("reads the end from the message alone, unless that is long", async () => {
    const waiter = lab.faulty();
    const ends = async (id: string, spec: object, input: { generation?: number } = {}) => {
      const { view } = await waiter.run("completion.register", id, registration(spec));
      const asked = "generation" in input ? { generation: view?.generation ?? 0 } : {};
      const waiting = waiter.watch("completion.wait", id, asked, { timeoutMs: 10_000 });
      await expect.poll(channelsOpen).toBe(1);
      await pause(60);
      lab.proxy.requests.length = 0;
      await lab.coordinator().run("completion.ack", id, acks("a"));
      expect(await waiting).toEqual(await lab.coordinator().run("completion.wait", id, {}));
      const looks = lab.proxy.requests.length;
      await expect.poll(channelsOpen).toBe(0);
      return looks;
    };
    expect(await ends("short", {})).toBe(0);
    expect(await ends("line\nbreak", { metadata: '"é\\n"' })).toBe(0);
    expect(await ends("long", { metadata: JSON.stringify("x".repeat(3_000)) })).toBe(1);
    expect(await ends("of one generation", {}, { generation: 0 })).toBe(0);
  });

  it("believes no message of a life that is over, where nothing is registered", async () => {
    const waiter = lab.faulty();
    const { view } = await waiter.run("completion.register", "g", registration({ total: 0 }));
    await lab.raw.flushdb();
    await pause(2);
    const waiting = waiter.watch("completion.wait", "g", {}, { timeoutMs: 1_000 });
    await expect.poll(channelsOpen).toBe(1);
    await pause(60);
    const { channel, name } = keysOf(lab.keyPrefix, "completion", "g");
    const ended = JSON.stringify({ ready: true, version: view?.generation, view });
    await lab.raw.publish(channel, JSON.stringify([name, ended]));
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
  });

  it("believes no message that was sent before it began, nor one that is none", async () => {
    const waiter = lab.faulty();
    const first = await waiter.run("completion.register", "g", registration());
    await waiter.run("completion.ack", "g", acks("a"));
    const ended = await waiter.run("completion.wait", "g", {});
    await waiter.run("completion.register", "g", registration({ restart: { from: first.view?.generation ?? 0 } }));
    const waiting = waiter.watch("completion.wait", "g", {}, { timeoutMs: 10_000 });
    await expect.poll(channelsOpen).toBe(1);
    await pause(60);
    const { channel, name } = keysOf(lab.keyPrefix, "completion", "g");
    const strange = ["", name, "[", "{}", "[1,2]", JSON.stringify([name, "junk"]), JSON.stringify([name, "[]"])];
    for (const text of [JSON.stringify([name, JSON.stringify(ended)]), ...strange]) {
      lab.proxy.requests.length = 0;
      await lab.raw.publish(channel, text);
      await pause(30);
      // Those that are about the group make it look.
      expect(lab.proxy.requests).toHaveLength(text.startsWith(`["${name}"`) ? 1 : 0);
    }
    await lab.coordinator().run("completion.ack", "g", acks("a"));
    const { view } = await waiting;
    expect(view?.generation).toBeGreaterThan(first.view?.generation ?? 0);
  });

  it("receives its message whatever characters the id and the prefix contain", async () => {
    const coordinator = lab.coordinator({ keyPrefix: `${lab.keyPrefix}a,b/c%2F?#é ` });
    for (const id of ["line\nbreak", "a,b", "message,x,y", "{0}", "data: x", "ü€😀"]) {
      await coordinator.run("completion.register", id, registration());
      const waiting = coordinator.watch("completion.wait", id, {}, { timeoutMs: 10_000 });
      await expect.poll(channelsOpen).toBe(1);
      await pause(60);
      const tookMs = timed(waiting);
      await coordinator.run("completion.ack", id, acks("a"));
      expect(await tookMs).toBeLessThan(2_000);
      await expect.poll(channelsOpen).toBe(0);
    }
  });

  it("misses nothing that happens while the subscription is made", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration());
    await coordinator.getInt("warm");
    const tookMs: number[] = [];
    for (let round = 0; round < 20; round++) {
      const id = `g${round}`;
      await coordinator.run("completion.register", id, registration());
      const took = timed(coordinator.watch("completion.wait", id, {}, { timeoutMs: 5_000 }));
      await pause(round / 2);
      await lab.coordinator().run("completion.ack", id, acks("a"));
      tookMs.push(await took);
    }
    // What was missed would be found by the next look, 400 ms later at the earliest; a busy machine delays a few rounds.
    expect(tookMs.filter((ms) => ms > 350).length).toBeLessThan(5);
  });

  it("of what is ready already is one request and no subscription", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration({ total: 0 }));
    lab.proxy.requests.length = 0;
    expect((await coordinator.watch("completion.wait", "g", {}, { timeoutMs: 1_000 })).ready).toBe(true);
    expect(lab.proxy.requests).toHaveLength(1);
    expect(lab.proxy.streams).toBe(0);
  });

  it("with no time looks once", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration());
    lab.proxy.requests.length = 0;
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 0 });
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
    expect(lab.proxy.requests).toHaveLength(1);
    await coordinator.run("completion.ack", "g", acks("a"));
    expect((await coordinator.watch("completion.wait", "g", {}, { timeoutMs: 0 })).ready).toBe(true);
  });

  it.each(["dropped before", "dropped after", "error after"] as const)(
    "row 54: with no time outlives one answer that is lost, as a status does (%s)",
    async (fault) => {
      const coordinator = lab.faulty();
      const tracker = new CompletionTracker(coordinator);
      const requests = new RequestWaitTracker(coordinator, { stages: ["s"] });
      await tracker.register("g", 0);
      await requests.register("r");
      await requests.seal("r");
      const looks = [
        () => tracker.status("g"),
        () => tracker.wait("g", { timeoutMs: 0 }),
        () => requests.wait("r", { timeoutMs: 0 }),
        () => requests.newer("r", "", { timeoutMs: 0 }),
      ];
      for (const look of looks) {
        lab.proxy.faults.push(fault);
        lab.proxy.requests.length = 0;
        expect(await look()).toBeTruthy();
        expect(lab.proxy.requests).toHaveLength(2);
      }
    },
  );

  it("waits for the registration of an unknown group", async () => {
    const coordinator = lab.coordinator();
    const waiting = coordinator.watch("completion.wait", "late", {}, { timeoutMs: 5_000 });
    await pause(80);
    await coordinator.run("completion.register", "late", registration());
    await coordinator.run("completion.ack", "late", acks("a"));
    expect((await waiting).view?.state).toBe("completed");
  });

  it("returns at the group's deadline without any write", async () => {
    const coordinator = lab.coordinator();
    await coordinator.run("completion.register", "g", registration({ timeoutMs: 300 }));
    const tookMs = timed(coordinator.watch("completion.wait", "g", {}, { timeoutMs: 5_000 }));
    expect(await tookMs).toBeGreaterThan(200);
    // Sooner than the next look by itself.
    expect(await tookMs).toBeLessThan(3_000);
  });

  it.each([-3_600_000, 3_600_000])("does not spin when its clock is off by %i ms", async (offMs) => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration({ timeoutMs: 1_000 }));
    lab.proxy.requests.length = 0;
    const now = Date.now;
    const spy = vi.spyOn(Date, "now").mockImplementation(() => now() + offMs);
    try {
      await coordinator.watch("completion.wait", "g", {}, { timeoutMs: 6_000 });
    } finally {
      spy.mockRestore();
    }
    expect(lab.proxy.requests.length).toBeLessThan(10);
  });
});

describe("without messages a watch", () => {
  it.each(["refuse", "hang", "end"] as const)("looks from time to time (subscriptions: %s)", async (fault) => {
    lab.proxy.subscribe = fault;
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration());
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000 });
    await pause(600);
    await lab.coordinator().run("completion.ack", "g", acks("a"));
    expect(await timed(waiting)).toBeLessThan(5_000);
    expect(lab.proxy.requests.length).toBeLessThan(12);
    await expect.poll(() => lab.proxy.openStreams).toBe(0);
  });

  it("subscribes again once it can", async () => {
    lab.proxy.subscribe = "refuse";
    const coordinator = lab.faulty();
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000 }).catch(() => {});
    await expect.poll(() => lab.proxy.streams).toBeGreaterThan(0);
    lab.proxy.subscribe = "none";
    await expect.poll(channelsOpen).toBe(1);
    await coordinator.run("completion.register", "g", registration({ total: 0 }));
    await waiting;
  });

  it("in the background opens no stream at all", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration());
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000, background: true });
    await pause(100);
    await lab.coordinator().run("completion.ack", "g", acks("a"));
    expect((await waiting).view?.state).toBe("completed");
    expect(lab.proxy.streams).toBe(0);
  });
});

describe("subscriptions", () => {
  it("are one a channel however many wait, and end with the last of them", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration());
    const leaver = new AbortController();
    const first = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000, signal: leaver.signal });
    const rest = Array.from({ length: 50 }, () => coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000 }));
    await expect.poll(() => lab.proxy.openStreams).toBe(1);
    await pause(100);
    leaver.abort("left");
    await expect(first).rejects.toBe("left");
    await pause(50);
    expect(lab.proxy.openStreams).toBe(1);
    await coordinator.run("completion.ack", "g", acks("a"));
    expect(await Promise.all(rest)).toHaveLength(50);
    expect(lab.proxy.streams).toBe(1);
    await expect.poll(() => lab.proxy.openStreams).toBe(0);
    await expect.poll(channelsOpen).toBe(0);
  });

  it.each([
    ["Workers", { navigator: { userAgent: "Cloudflare-Workers" } }],
    ["edge functions", { EdgeRuntime: "edge-runtime" }],
  ])("are one a wait on %s, where no request may touch another's stream", async (_, globals) => {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    try {
      const coordinator = lab.faulty();
      await coordinator.run("completion.register", "g", registration());
      const waits = [1, 2].map(() => coordinator.watch("completion.wait", "g", {}, { timeoutMs: 10_000 }));
      await expect.poll(() => lab.proxy.streams).toBe(2);
      await coordinator.run("completion.ack", "g", acks("a"));
      expect(await Promise.all(waits)).toMatchObject([{ ready: true }, { ready: true }]);
      await expect.poll(() => lab.proxy.openStreams).toBe(0);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("row 52: share one read among all waiting callers, and fetch a long end once", async () => {
    const coordinator = lab.faulty();
    const metadata = JSON.stringify("m".repeat(16_000));
    await coordinator.run("completion.register", "g", registration({ metadata }));
    lab.proxy.requests.length = 0;
    const waits = Array.from({ length: 4_000 }, () =>
      coordinator.watch("completion.wait", "g", {}, { timeoutMs: 60_000 }),
    );
    await expect.poll(channelsOpen).toBe(1);
    await pause(60);
    // One look at the beginning, and one when the subscription is open.
    expect(lab.proxy.requests.length).toBeLessThanOrEqual(3);
    lab.proxy.requests.length = 0;
    await lab.coordinator().run("completion.ack", "g", acks("a"));
    const outputs = await Promise.all(waits);
    expect([new Set(outputs).size, outputs[0]?.view?.metadata?.length]).toEqual([1, metadata.length]);
    expect(lab.proxy.requests).toHaveLength(1);
  });

  it("end when the wait times out or is aborted", async () => {
    const coordinator = lab.faulty();
    const waits = [
      coordinator.watch("completion.wait", "a", {}, { timeoutMs: 150 }),
      coordinator.watch("completion.wait", "b", {}, { timeoutMs: 9_000, signal: AbortSignal.timeout(150) }),
    ];
    const outcomes = await Promise.allSettled(waits);
    expect(outcomes).toMatchObject([
      { reason: { code: "wait_timeout", retryable: true } },
      { reason: { name: "TimeoutError" } },
    ]);
    await expect.poll(() => lab.proxy.openStreams).toBe(0);
  });
});

describe("an instance's own writes", () => {
  /** A coordinator whose looks all hang but the first of each wait: nothing is found by looking. */
  function blind() {
    const looked = new Set<string>();
    return lab.coordinator({
      fetch: (url, init) => {
        const [, , , record = "", , step] = JSON.parse(String(init?.body ?? "[]")) as string[];
        const isLook = step === "wait" && looked.has(record);
        if (step === "wait") looked.add(record);
        return isLook ? new Promise(() => {}) : fetch(url, init);
      },
    });
  }

  it("row 58: call a plain function by the ack of its own process, without a look", async () => {
    const tracker = new CompletionTracker(blind());
    const calls: string[] = [];
    await tracker.register("g", ["a"], { onEnd: ({ state }) => void calls.push(state) });
    await expect.poll(() => lab.rest.requests.count("command")).toBe(2);
    await tracker.ack("g", "a");
    await expect.poll(() => calls).toEqual(["completed"]);
  });

  it("row 58: end the waits of its own process, whichever operation ended the group", async () => {
    const coordinator = blind();
    const tracker = new CompletionTracker(coordinator);
    const ends = {
      acked: () => tracker.ack("acked", "a"),
      failed: () => tracker.fail("failed", "a", "no"),
      cancelled: () => tracker.cancel("cancelled", "enough"),
      decremented: () => tracker.decrement("decremented"),
    };
    for (const [id, end] of Object.entries(ends)) {
      await tracker.register(id, id === "decremented" ? 1 : ["a"]);
      const background = coordinator.watch("completion.wait", id, {}, { timeoutMs: 60_000, background: true });
      await pause(30);
      await end();
      expect((await background).view?.state).toBe(id === "cancelled" ? "cancelled" : "completed");
    }
  });

  it("make a wait look that asks for something else, or for an end that is long", async () => {
    const coordinator = lab.faulty();
    const metadata = JSON.stringify("x".repeat(3_000));
    const { view } = await coordinator.run("completion.register", "g", registration({ metadata }));
    const [options, generation] = [{ timeoutMs: 60_000, background: true }, view?.generation ?? 0];
    const waits = [{}, { generation }].map((input) => coordinator.watch("completion.wait", "g", input, options));
    await pause(30);
    lab.proxy.requests.length = 0;
    await coordinator.run("completion.ack", "g", acks("a"));
    expect(await Promise.all(waits)).toMatchObject([{ ready: true }, { ready: true }]);
    expect(lab.proxy.requests).toHaveLength(2);
  });
});

describe("faults during a watch", () => {
  it("that pass are waited out", async () => {
    const coordinator = lab.faulty();
    await coordinator.run("completion.register", "g", registration({ total: 0 }));
    lab.proxy.faults.push("dropped before", "error after", "html after");
    expect((await coordinator.watch("completion.wait", "g", {}, { timeoutMs: 8_000 })).ready).toBe(true);
  });

  it("that do not pass end it", async () => {
    const coordinator = lab.coordinator({ token: "wrong" });
    const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs: 8_000 });
    await expect(waiting).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("never make it last longer: a backend that does not answer", async () => {
    const hole = await startBlackHole();
    const coordinator = lab.coordinator({ url: hole.url });
    for (const timeoutMs of [1, 50, 300, 700]) {
      const lateMs = await overshootMs(timeoutMs, async () => {
        const waiting = coordinator.watch("completion.wait", "g", {}, { timeoutMs });
        await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
      });
      expect(lateMs).toBeGreaterThanOrEqual(-5);
      expect(lateMs).toBeLessThanOrEqual(100);
    }
    await hole.close();
  });

  it("never make an abort late", async () => {
    const hole = await startBlackHole();
    const lateMs = await overshootMs(100, async () => {
      const signal = AbortSignal.timeout(100);
      const waiting = lab
        .coordinator({ url: hole.url })
        .watch("completion.wait", "g", {}, { timeoutMs: 9_000, signal });
      await expect(waiting).rejects.toBe(signal.reason);
    });
    expect(lateMs).toBeLessThan(100);
    await hole.close();
  });
});

it("refuses a timeout out of range", async () => {
  const skewed = new SkewedCoordinator({ url: lab.rest.url, token: TOKEN });
  for (const timeoutMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    await expect(skewed.watch("completion.wait", "g", {}, { timeoutMs })).rejects.toMatchObject({
      code: "invalid_input",
    });
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
