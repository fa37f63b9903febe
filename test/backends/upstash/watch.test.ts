import { describe, expect, it, vi } from "vitest";
import { keysOf } from "../../../src/backends/upstash/keys.js";
import type { Ring } from "../../../src/backends/upstash/subscription.js";
import { watchUntilReady } from "../../../src/backends/upstash/watch.js";
import type { Watched } from "../../../src/coordinator.js";
import { CoordinationError } from "../../../src/index.js";
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

  it("reads the end from the message alone, unless that is long, or another was asked for", async () => {
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
    expect(await ends("asked", {}, { generation: 0 })).toBe(1);
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

  it("hears of it whatever stands in the id and the prefix", async () => {
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

  it("waits for the registration of a group that nobody knows", async () => {
    const coordinator = lab.coordinator();
    const waiting = coordinator.watch("completion.wait", "late", {}, { timeoutMs: 5_000 });
    await pause(80);
    await coordinator.run("completion.register", "late", registration());
    await coordinator.run("completion.ack", "late", acks("a"));
    expect((await waiting).view?.state).toBe("completed");
  });

  it("comes back at the deadline, though nobody writes", async () => {
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
    expect(await timed(waiting)).toBeLessThan(1_500);
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

describe("a wait that hears how it ended while it looks", () => {
  const ended = { ready: true, version: 1 };

  /** A backend that answers once and then hangs; the message of the end comes after 20 ms. */
  function hanging({ version }: { version: number }) {
    let looks = 0;
    let underWay = 0;
    const look = (signal: AbortSignal | undefined): Promise<Watched> => {
      if (looks++ === 0) return Promise.resolve({ ready: false, version: 1 });
      underWay++;
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => {
          underWay--;
          reject(signal.reason);
        });
      });
    };
    const listen = (ring: Ring) => {
      ring();
      const timer = setTimeout(() => ring({ output: "the end" }), 20);
      return { isLive: () => true, leave: () => clearTimeout(timer) };
    };
    return { look, listen, read: () => ({ ready: true, version }), underWay: () => underWay };
  }

  it("waits for no answer more, and lets go of what it asked", async () => {
    const watch = hanging(ended);
    const waiting = watchUntilReady(watch, { timeoutMs: 2_000, lastReadMs: 2_000 });
    expect(await timed(waiting)).toBeLessThan(1_000);
    expect(await waiting).toEqual(ended);
    expect(watch.underWay()).toBe(0);
  });

  it("is aborted all the same where that came first", async () => {
    const controller = new AbortController();
    const waiting = watchUntilReady(hanging(ended), { timeoutMs: 2_000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("gone")), 5);
    await expect(waiting).rejects.toThrow("gone");
  });

  it("goes on where the message is of an earlier life", async () => {
    const waiting = watchUntilReady(hanging({ version: 0 }), { timeoutMs: 100 });
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
  });
});

describe("a wait that is over", () => {
  const down = () => Promise.reject(new CoordinationError("backend_unavailable", "down", { retryable: true }));

  /** A backend that answers once, is down from then on, and comes back after `backMs`; a message comes after 20 ms. */
  function failing({ isTold, backMs }: { isTold: boolean; backMs: number }) {
    const sinceMs = performance.now();
    let looks = 0;
    return {
      look: async (): Promise<Watched> => {
        if (looks++ === 0) return { ready: false, version: 1 };
        return performance.now() - sinceMs < backMs ? down() : { ready: true, version: 1 };
      },
      listen: (ring: Ring) => {
        const timer = setTimeout(() => ring(isTold ? { output: undefined } : undefined), 20);
        return { isLive: () => true, leave: () => clearTimeout(timer) };
      },
    };
  }

  it("still reads what it was told of and could not read in time", async () => {
    const watch = failing({ isTold: true, backMs: 90 });
    expect(await watchUntilReady(watch, { timeoutMs: 100, lastReadMs: 2_000 })).toEqual({ ready: true, version: 1 });
  });

  it("is over at its time where nobody asked for that", async () => {
    const waiting = watchUntilReady(failing({ isTold: true, backMs: 90 }), { timeoutMs: 100 });
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
  });

  it("reads no more when nothing was told", async () => {
    const waiting = watchUntilReady(failing({ isTold: false, backMs: 90 }), { timeoutMs: 100, lastReadMs: 2_000 });
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
  });

  it("is over when the last read fails too, and by its signal", async () => {
    const waiting = watchUntilReady(failing({ isTold: true, backMs: 60_000 }), { timeoutMs: 100, lastReadMs: 300 });
    await expect(waiting).rejects.toMatchObject({ code: "wait_timeout" });
    const controller = new AbortController();
    const hanging = { ...failing({ isTold: true, backMs: 60_000 }) };
    const looks: number[] = [];
    const look = (signal: AbortSignal | undefined): Promise<Watched> => {
      looks.push(1);
      if (looks.length < 3) return looks.length === 1 ? Promise.resolve({ ready: false, version: 1 }) : down();
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    };
    const aborted = watchUntilReady(
      { ...hanging, look },
      { timeoutMs: 100, lastReadMs: 2_000, signal: controller.signal },
    );
    setTimeout(() => controller.abort(new Error("gone")), 300);
    await expect(aborted).rejects.toThrow("gone");
  });
});
