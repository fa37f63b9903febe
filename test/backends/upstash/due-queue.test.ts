import { describe, expect, it } from "vitest";
import type { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import type { TransitionName } from "../../../src/index.js";
import { placeOf, shardOf } from "../../../src/runtime/placement.js";
import { acks, registration, SkewedCoordinator, TOKEN, useLab } from "./support.js";

const lab = useLab();
const DEADLINE_MS = 600_000;
const target = { end: { route: "handler:h", body: "null" } };
const retry = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 2_000 };

function skewed(): SkewedCoordinator {
  return new SkewedCoordinator({ url: lab.rest.url, token: TOKEN, keyPrefix: lab.keyPrefix, keyLocking: false });
}

const shardKey = (id: string): string => `${lab.keyPrefix}{${shardOf(placeOf("completion", id))}}:due`;

/** Ids whose lines are in one shard. */
function idsOfShard(count: number): string[] {
  const shard = shardKey("g0");
  const ids = Array.from({ length: 100 * count }, (_, i) => `g${i}`).filter((id) => shardKey(id) === shard);
  return ids.slice(0, count);
}

async function lineOf(id: string): Promise<number | undefined> {
  const score = await lab.raw.zscore(shardKey(id), `completion:${id}`);
  return score === null ? undefined : Number(score);
}

async function keys(pattern = "*"): Promise<string[]> {
  return lab.raw.keys(`${lab.keyPrefix}${pattern}`);
}

describe("lines that no drain of this version can wake", () => {
  it("row 45: hide no group that stands behind them, however many they are", async () => {
    const coordinator = skewed();
    const strange = Array.from({ length: 1_000 }, (_, i) => [1, `future:${i}`]);
    await lab.raw.zadd(shardKey("g0"), ...strange.flat());
    await coordinator.run("completion.register", "g0", registration({ timeoutMs: 1_000 }));
    coordinator.skewMs = 2_000;
    expect(await coordinator.drain({ limit: 1 })).toMatchObject({ woken: 1 });
    expect((await coordinator.run("completion.status", "g0", {})).view?.state).toBe("timed_out");
    // They are out of the way, and will come up for a version that knows them.
    expect(await lab.raw.zcard(shardKey("g0"))).toBe(1_000);
    expect(await lab.raw.zcount(shardKey("g0"), "-inf", Date.now() + 2_000)).toBe(0);
    lab.rest.requests.clear();
    expect(await coordinator.drain()).toMatchObject({ woken: 0, left: false });
    expect(lab.rest.requests.count()).toBe(1);
  });

  it("row 45: are recognized by their step, not by their machine", async () => {
    const coordinator = lab.coordinator();
    for (const name of ["kv:g", "stats:g", "completion", ":g", ""]) await lab.raw.zadd(shardKey("g0"), 1, name);
    expect(await coordinator.drain()).toMatchObject({ woken: 0, left: false });
  });
});

describe("drains at the same time", () => {
  it("row 46: wake each record once", async () => {
    const ids = idsOfShard(200);
    await lab.raw.zadd(shardKey("g0"), ...ids.flatMap((id) => [1, `completion:${id}`]));
    const drainers = Array.from({ length: 8 }, () => lab.coordinator());
    const reports = await Promise.all(drainers.map((one) => one.drain({ limit: 100, budgetMs: 600_000 })));
    expect(reports.reduce((sum, { woken }) => sum + woken, 0)).toBe(200);
  });

  it("row 46: leave what one of them has taken to it, and have it again when that one died", async () => {
    const coordinator = skewed();
    await coordinator.run("completion.register", "g0", registration({ timeoutMs: 1_000 }));
    coordinator.skewMs = 2_000;
    coordinator.onWake("completion", { input: () => ({}), act: () => new Promise(() => {}) });
    const other = skewed();
    other.skewMs = 2_000;
    const run = coordinator.run.bind(coordinator);
    coordinator.run = run;
    // It takes the line, and then nothing comes of it.
    lab.proxy.faults.push("none", "none", "dropped before", "dropped before", "dropped before");
    const dying = new SkewedCoordinator({
      url: lab.proxy.url,
      token: TOKEN,
      keyPrefix: lab.keyPrefix,
      keyLocking: false,
    });
    dying.skewMs = 2_000;
    expect(await dying.drain()).toMatchObject({ woken: 0, left: true });
    expect(await other.drain()).toMatchObject({ woken: 0, left: false });
    other.skewMs = 40_000;
    expect(await other.drain()).toMatchObject({ woken: 1 });
  });

  it("return what they took and did not begin", async () => {
    const ids = idsOfShard(100);
    await lab.raw.zadd(shardKey("g0"), ...ids.flatMap((id, i) => [i + 1, `completion:${id}`]));
    const coordinator = lab.coordinator();
    const controller = new AbortController();
    coordinator.onWake("completion", {
      input: () => {
        controller.abort(new Error("enough"));
        return {};
      },
      act: async () => {},
    });
    await expect(coordinator.drain({ signal: controller.signal })).rejects.toThrow("enough");
    const due = () => lab.raw.zcount(shardKey("g0"), "-inf", Date.now());
    await expect.poll(due).toBeGreaterThanOrEqual(68);
  });
});

describe("a due line that was lost", () => {
  /** A group with a deadline and two open tasks. */
  async function open(coordinator: UpstashCoordinator, id: string, given = {}): Promise<number> {
    const input = registration({ total: 3, timeoutMs: DEADLINE_MS, targets: target, ...given });
    const { view } = await coordinator.run("completion.register", id, input);
    return view?.deadlineAtMs ?? Number.NaN;
  }

  const claim = async (coordinator: UpstashCoordinator, id: string) => {
    const input = { routes: ["handler:h"], leaseMs: 60_000, retry };
    return (await coordinator.run("completion.woken", id, input)).claims[0];
  };

  it("row 49: is there again after an ack, whether it was deleted or its queue evicted", async () => {
    const coordinator = skewed();
    const deadlineAtMs = await open(coordinator, "g0");
    await lab.raw.zrem(shardKey("g0"), "completion:g0");
    await coordinator.run("completion.ack", "g0", acks("a"));
    expect(await lineOf("g0")).toBe(deadlineAtMs);
    await lab.raw.del(shardKey("g0"));
    await coordinator.run("completion.ack", "g0", acks("b"));
    expect(await lineOf("g0")).toBe(deadlineAtMs);
    expect(await lab.raw.pttl(shardKey("g0"))).toBeGreaterThan(DEADLINE_MS);
    coordinator.skewMs = DEADLINE_MS + 1_000;
    expect(await coordinator.drain()).toMatchObject({ woken: 1 });
    expect((await coordinator.run("completion.status", "g0", {})).view?.state).toBe("timed_out");
  });

  it.each<[TransitionName, object]>([
    ["completion.decrement", { op: "o", by: 1 }],
    ["completion.ack", { op: "o", tasks: [{ id: "a", error: "broken" }], earlyTtlMs: 60_000 }],
    ["completion.cancel", { reason: "enough" }],
    [
      "completion.register",
      { ...registration({ total: 3, timeoutMs: DEADLINE_MS }), fingerprint: "other", restart: {} },
    ],
  ])("row 49: is there again after %s", async (transition, input) => {
    const coordinator = lab.coordinator();
    coordinator.onWake("completion", { input: () => ({ more: true }), act: async () => {} });
    await open(coordinator, "g0");
    await lab.raw.del(shardKey("g0"));
    await coordinator.run(transition, "g0", input as never);
    expect(await lineOf("g0")).toBeGreaterThan(0);
  });

  it("row 49: is there again after the steps of a delivery", async () => {
    const coordinator = skewed();
    coordinator.onWake("completion", { input: () => ({ more: true }), act: async () => {} });
    await open(coordinator, "g0", { total: 0, timeoutMs: 0 });
    const { key, generation, fence } = (await claim(coordinator, "g0")) ?? { key: "", generation: 0, fence: 0 };
    const settled = { key, fence, retry, random: 0.5 };
    for (const [transition, input] of [
      ["completion.take", { op: "t", generation }],
      ["completion.settle", { ...settled, error: "broken" }],
      ["completion.redeliver", { op: "r" }],
    ] as const) {
      await lab.raw.del(shardKey("g0"));
      await coordinator.run(transition, "g0", input as never);
      expect(await lineOf("g0"), transition).toBeGreaterThan(0);
    }
  });

  it("row 49: costs an ack nothing where it is not lost", async () => {
    const coordinator = lab.coordinator();
    const commands = async (work: () => Promise<unknown>): Promise<string[]> => {
      const monitor = await lab.raw.monitor();
      const seen: string[] = [];
      monitor.on("monitor", (_, [name = ""]: string[]) => seen.push(name.toLowerCase()));
      await work();
      await lab.raw.echo("over");
      await expect.poll(() => seen.at(-1)).toBe("echo");
      monitor.disconnect();
      return seen.slice(0, -1);
    };
    const ack = ["evalsha", "time", "hmget", "hset", "zadd"];
    await open(coordinator, "g0");
    expect(await commands(() => coordinator.run("completion.ack", "g0", acks("a")))).toEqual(ack);
    await open(coordinator, "g1", { indexed: true, total: 1_000 });
    expect(await commands(() => coordinator.run("completion.ack", "g1", acks("7")))).toEqual([
      ...ack.slice(0, 3),
      "hset",
      "zadd",
    ]);
    await open(coordinator, "g2", { timeoutMs: 0, targets: undefined });
    expect(await commands(() => coordinator.run("completion.ack", "g2", acks("a")))).toEqual(ack.slice(0, 4));
  });
});

describe("a due queue", () => {
  it("row 49: expires with its last line when no instance drains", async () => {
    const coordinator = lab.coordinator();
    const register = (i: number) =>
      coordinator.run("completion.register", `g${i}`, registration({ timeoutMs: 300, ttlMs: 300 }));
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => register(i)));
    await expect.poll(() => keys()).toEqual([]);
  });

  it("row 49: lasts as long as the record of any of its lines", async () => {
    const coordinator = lab.coordinator();
    const [short = "", long = "", last = ""] = idsOfShard(3);
    const lives = async (): Promise<number> => lab.raw.pttl(shardKey("g0"));
    const HOUR_MS = 3_600_000;
    await coordinator.run("completion.register", short, registration({ timeoutMs: 60_000, ttlMs: 60_000 }));
    expect(await lives()).toBeGreaterThan(110_000);
    expect(await lives()).toBeLessThanOrEqual(150_000);
    await coordinator.run("completion.register", long, registration({ timeoutMs: HOUR_MS, ttlMs: 60_000 }));
    const longest = await lives();
    expect(longest).toBeGreaterThan(HOUR_MS);
    await coordinator.run("completion.register", last, registration({ timeoutMs: 60_000, ttlMs: 60_000 }));
    await coordinator.run("completion.cancel", short, { reason: "enough" });
    expect(await lives()).toBeGreaterThan(longest - 60_000);
    // A line without an end, as an earlier version wrote it, is not given one by the others.
    await lab.raw.persist(shardKey("g0"));
    await coordinator.run("completion.ack", last, acks("a"));
    await coordinator.run("completion.register", short, {
      ...registration({ timeoutMs: 60_000 }),
      fingerprint: "s2",
      restart: {},
    });
    expect(await lives()).toBe(-1);
  });
});
