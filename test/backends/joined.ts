import { describe, expect, it, vi } from "vitest";
import { Random } from "../../dev/random.js";
import {
  CoalesceTracker,
  CompletionTracker,
  type CoordinationError,
  type Coordinator,
  DedupeWindow,
  MemoryCoordinator,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../src/index.js";
import type { FaultProxy, Lane } from "../support/fault-proxy.js";
import { incrOnce } from "./once.js";

/** A remote backend, and the network in front of it. */
export interface World {
  readonly proxy: FaultProxy;
  client(options: { readonly url: string; readonly requestTimeoutMs?: number }): Coordinator;
  /** How many operations one request carries at most. */
  readonly maxOps: number;
  /** Where requests go that carry several, and where those go that carry an increment. */
  readonly batchPath: string;
  readonly incrPath: string;
  /** More than one request may carry, in items of 2,000 bytes. */
  readonly oversize: number;
  /** How many operations a request carried. */
  countOf(body: string): number;
}

let made = 0;

/** What holds of every backend that joins operations. */
export function describeJoined(world: () => World): void {
  const fresh = (requestTimeoutMs?: number): { lane: Lane; c: Coordinator; id: string } => {
    const lane = world().proxy.lane();
    const timeout = requestTimeoutMs === undefined ? {} : { requestTimeoutMs };
    return { lane, c: world().client({ url: lane.url, ...timeout }), id: `joined-${++made}` };
  };
  const sizes = ({ requests }: Lane): number[] => requests.map(({ body }) => world().countOf(body));
  const codes = (outcomes: readonly PromiseSettledResult<unknown>[]): unknown[] =>
    outcomes.map((outcome) => {
      if (outcome.status === "fulfilled") return outcome.value;
      const { code, applied } = outcome.reason as CoordinationError;
      return `${code} ${applied}`;
    });

  describe("operations that begin in one turn", () => {
    it("are a handful of requests: 400 acks of one group, in their order", async () => {
      const { c, id, lane } = fresh();
      const tracker = new CompletionTracker(c);
      await tracker.register(id, 400);
      lane.requests.length = 0;
      const tasks = Array.from({ length: 400 }, (_, i) => `t${i}`);
      const results = await Promise.all(tasks.map((task) => tracker.ack(id, task)));
      expect(results.map(({ remaining }) => remaining)).toEqual(tasks.map((_, i) => 399 - i));
      const { maxOps } = world();
      expect(sizes(lane)).toEqual([maxOps, maxOps, maxOps, 400 - 3 * maxOps]);
      expect((await tracker.status(id))?.state).toBe("completed");
    });

    it("are a handful of requests: 400 acks of as many groups", async () => {
      const { c, id, lane } = fresh();
      const tracker = new CompletionTracker(c);
      const ids = Array.from({ length: 400 }, (_, i) => `${id}-${i}`);
      const results = await Promise.all(ids.map((group) => tracker.ack(group, "a")));
      expect(results.every(({ verdict }) => verdict === "early")).toBe(true);
      expect(lane.requests.every(({ path }) => path.endsWith(world().batchPath))).toBe(true);
      expect(lane.requests).toHaveLength(4);
    });

    it("are one request, whatever they do", async () => {
      const { c, id, lane } = fresh();
      const tracker = new CompletionTracker(c);
      const done = Promise.all([
        c.incr(`${id}-n`),
        c.getInt(`${id}-n`),
        c.sadd(`${id}-s`, "a", "b"),
        c.delete(`${id}-x`, `${id}-y`),
        tracker.status(id),
        tracker.ack(id, "a"),
        new DedupeWindow(c).claim([id, "a"]),
        new CoalesceTracker(c).next(id),
        new RequestStatsAccumulator(c, id, { maxTracked: 100 }).merge("a", { processed: 1 }),
        new RequestWaitTracker(c, { stages: ["s"] }).register(id),
        c.watch("completion.wait", id, {}, { timeoutMs: 0 }).catch(() => "waited"),
      ]);
      expect((await done).slice(0, 5)).toEqual([1, 1, 2, 0, null]);
      // A wait of the Worker's is a request of its own.
      expect(lane.requests.filter(({ path }) => !path.includes("/watch/"))).toHaveLength(1);
    });

    it("are not joined with those of the next", async () => {
      const { c, id, lane } = fresh();
      const first = c.incr(id);
      await new Promise((resolve) => setTimeout(resolve));
      expect(await Promise.all([first, c.incr(`${id}-b`)])).toEqual([1, 1]);
      expect(lane.requests.map(({ path }) => path.endsWith(world().incrPath))).toEqual([true, true]);
    });
  });

  it("an operation alone is a plain request", async () => {
    const { c, id, lane } = fresh();
    expect([await c.incr(id), await c.incr(id)]).toEqual([1, 2]);
    expect(lane.requests.map(({ path }) => path.endsWith(world().incrPath))).toEqual([true, true]);
  });

  it("random operations give each its own reply, as if one came after the other on each record", async () => {
    const random = new Random(20_261_122);
    for (let round = 0; round < 12; round++) {
      const { c, id } = fresh();
      const model = new MemoryCoordinator();
      const records = 1 + random.below(40);
      const acts = Array.from({ length: 1 + random.below(500) }, (_, i) => {
        const n = random.below(records);
        const m = random.below(3);
        return [
          (on: Coordinator) => on.rpush(`${id}-l${n}`, `item-${i}`),
          (on: Coordinator) => on.lrange(`${id}-l${n}`),
          (on: Coordinator) => on.incr(`${id}-n${n}`, 1 + i),
          (on: Coordinator) => on.getInt(`${id}-n${n}`),
          (on: Coordinator) => on.sadd(`${id}-s${n}`, `m${m}`, `i${i}`),
          // Another kind of value: refused, which is this call's affair alone.
          (on: Coordinator) => on.scard(`${id}-l${n}`),
          (on: Coordinator) => on.delete(`${id}-n${n}`),
        ][random.below(7)] as (on: Coordinator) => Promise<unknown>;
      });
      const told = await Promise.allSettled(acts.map((act) => act(c)));
      const wanted: PromiseSettledResult<unknown>[] = [];
      for (const act of acts) wanted.push(...(await Promise.allSettled([act(model)])));
      expect([round, codes(told)]).toEqual([round, codes(wanted)]);
    }
  });

  describe("a caller that leaves", () => {
    it("leaves the others their request", async () => {
      const { c, id, lane } = fresh();
      const gone = new AbortController();
      const reason = new Error("the caller left");
      lane.standing = "slow";
      const three = ["a", "b", "c"].map((task) => {
        const signal = task === "b" ? { signal: gone.signal } : {};
        return c.run("completion.ack", id, { op: task, tasks: [{ id: task }], earlyTtlMs: 60_000 }, signal);
      });
      const seen = expect.poll(() => lane.requests, { interval: 1 }).toHaveLength(1);
      void seen.then(() => gone.abort(reason));
      const [a, b, last] = await Promise.allSettled(three);
      expect([a?.status, last?.status]).toEqual(["fulfilled", "fulfilled"]);
      expect(b).toEqual({ status: "rejected", reason });
      expect(sizes(lane)).toEqual([3]);
    });

    it("before it is sent, is not sent", async () => {
      const { c, id, lane } = fresh();
      const gone = new AbortController();
      const options = { signal: gone.signal };
      const calls = [c.run("kv.getInt", `${id}-a`, {}, options), c.run("kv.getInt", `${id}-b`, {})];
      gone.abort(new Error("left"));
      expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
      expect(sizes(lane)).toEqual([1]);
    });

    it("as the last of them, ends the request", async () => {
      const { c, id, lane } = fresh();
      lane.standing = "silent before";
      const fetched = vi.spyOn(globalThis, "fetch");
      const callers = [new AbortController(), new AbortController()];
      const calls = callers.map(({ signal }, i) => c.run("kv.getInt", `${id}-${i}`, {}, { signal }));
      const settled = Promise.allSettled(calls);
      await lane.silent();
      const { signal } = fetched.mock.calls.find(([url]) => String(url).startsWith(lane.url))?.[1] ?? {};
      fetched.mockRestore();
      callers[0]?.abort(new Error("the first"));
      expect(signal?.aborted).toBe(false);
      callers[1]?.abort(new Error("the second"));
      expect(signal?.aborted).toBe(true);
      expect((await settled).map((outcome) => Object(outcome).reason.message)).toEqual(["the first", "the second"]);
      expect(lane.requests).toHaveLength(1);
    });
  });

  describe("a request that fails", () => {
    it("is made good by two halves, and told to each that may not be sent twice", async () => {
      const { c, id, lane } = fresh();
      lane.faults.push("dropped after");
      const flags = Array.from({ length: 10 }, (_, i) => c.setIfAbsent(`${id}-f${i}`, 60));
      const outcomes = codes(await Promise.allSettled([...flags, incrOnce(c, id), c.getInt(id)]));
      expect(outcomes).toEqual([...Array(10).fill(true), "backend_unavailable unknown", 1]);
      expect(sizes(lane)).toEqual([12, 6, 5]);
    });

    it("gives each operation an error of its own, with its own applied value", async () => {
      const { c, id, lane } = fresh();
      lane.standing = "dropped before";
      const outcomes = await Promise.allSettled([c.setIfAbsent(id, 60), c.getInt(id), c.setIfAbsent(`${id}-b`, 60)]);
      expect(codes(outcomes)).toEqual(["unknown", "no", "unknown"].map((applied) => `backend_unavailable ${applied}`));
      expect(new Set(outcomes.map((outcome) => Object(outcome).reason)).size).toBe(3);
      // Each of them three times.
      expect(sizes(lane)).toEqual([3, 2, 1, 1, 1, 1]);
    });

    it("row 60: fails no neighbour for ever of one that no server survives", async () => {
      const { c, id, lane } = fresh();
      lane.poison = `${id}-poison`;
      const calls = Array.from({ length: 16 }, (_, i) => c.setIfAbsent(i === 5 ? `${id}-poison` : `${id}-${i}`, 60));
      const outcomes = codes(await Promise.allSettled(calls));
      // The fourth that has it in it, tried three times; the others at once or when they come again.
      expect(outcomes.filter((outcome) => outcome === true)).toHaveLength(12);
      expect(outcomes.slice(4, 8)).toEqual(Array(4).fill("backend_unavailable unknown"));
      expect(sizes(lane)).toEqual([16, 8, 4, 4, 8]);
      const again = [4, 6, 7].map((i) => c.setIfAbsent(`${id}-${i}`, 60));
      expect(await Promise.all(again)).toEqual([true, true, true]);
    });

    it("row 60: is sent again as one, when the server asks to send less", async () => {
      const { c, id, lane } = fresh();
      lane.faults.push("busy before");
      const flags = Array.from({ length: 10 }, (_, i) => c.setIfAbsent(`${id}-f${i}`, 60));
      expect(await Promise.all(flags)).toEqual(Array(10).fill(true));
      expect(sizes(lane)).toEqual([10, 10]);
    });

    it("does not hold up for ever what waits behind it", async () => {
      const { c, id, lane } = fresh(200);
      lane.faults.push("silent before", "silent before", "silent before");
      const calls = Array.from({ length: 2 * world().maxOps }, () => incrOnce(c, id));
      const outcomes = codes(await Promise.allSettled(calls));
      expect(new Set(outcomes.slice(0, world().maxOps))).toEqual(new Set(["backend_unavailable unknown"]));
      expect(new Set(outcomes.slice(world().maxOps))).toEqual(new Set(["backend_unavailable no"]));
      expect(lane.requests).toHaveLength(1);
      expect(await world().client({ url: world().proxy.lane().url }).getInt(id)).toBe(0);
    });
  });

  it("an operation that is too large is refused alone", async () => {
    const { c, id } = fresh();
    const values = Array.from({ length: world().oversize }, () => "x".repeat(2_000));
    const calls = [c.incr(`${id}-a`), c.rpush(`${id}-l`, ...values), c.incr(`${id}-b`)];
    expect(codes(await Promise.allSettled(calls))).toEqual([1, "limit_exceeded no", 1]);
    expect(await c.lrange(`${id}-l`)).toEqual([]);
  });
}
