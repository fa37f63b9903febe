import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { ObjectNamespace } from "../../src/backends/durable-object/object/index.js";
import { IndexSender } from "../../src/backends/durable-object/object/index-sender.js";
import { shardOfLine } from "../../src/backends/durable-object/object/shard-map.js";
import type { IndexMessage, ObjectMethods } from "../../src/backends/durable-object/protocol.js";
import { seededRandom } from "../../src/testing/index.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { LISTS, TestIndex } from "../support/index-shards.js";
import { bench, groupObject, inside, resetAll, tablesOf } from "../support/test-worker.js";

const HOUR_MS = 3_600_000;
let tests = 0;

beforeAll(() => {
  bench.frozenAtMs = Date.now() + HOUR_MS;
  bench.isIndexed = true;
});
afterAll(resetAll);

/** An index of its own for each test: to empty all storage takes longer. */
const newIndex = (): TestIndex => new TestIndex(`shards-${tests++}:`);

describe("the shards of an index", () => {
  it("double at 250 messages a second, and not below", async () => {
    const index = newIndex();
    const send = (messages: number) =>
      inside(index.shard(0), async (object) => {
        for (let i = 0; i < messages; i++) {
          const { keyPrefix } = index;
          await (object as unknown as ObjectMethods).indexLine({ ...index.message("one", 0), shard: 0, keyPrefix });
        }
      });
    await send(2_499);
    bench.aheadMs += 10_000;
    await send(2_499);
    expect(await index.state()).toBe(undefined);
    await send(1);
    expect(await index.state()).toMatchObject({ count: 1, target: 2 });
    expect(await index.finish()).toBe(2);
  });

  it.each([1, 2])("list each record once while they double and crash, and records change, seed %i", async (seed) => {
    const index = newIndex();
    const next = seededRandom(seed);
    const random = (limit: number): number => Math.floor(next() * limit);
    await index.storeEarlier(1_100);
    const isolates = [{}, {}, {}];
    for (let step = 0; step < 90; step++) {
      const { count = 1, isUnsettled = false } = (await index.state()) ?? {};
      const any = random(count);
      const kind = random(10);
      if (step % 15 === 0 && !isUnsettled && count < 4) await index.grow();
      else if (kind < 5) {
        const id = random(2) === 0 ? `early-${random(1_100)}` : `new-${random(20)}`;
        await index.tell(id, [...LISTS, -1][random(4)] ?? 0, random(2) === 0 ? {} : isolates[random(3)]);
      } else if (kind < 8) await inside(index.shard(any), (object) => object.alarm());
      else if (kind === 8) await index.crash(any);
      else if (step % 2 === 0) await index.expectExact();
    }
    await index.expectExact();
    expect(await index.finish()).toBeGreaterThan(1);
    await index.expectExact();
  });

  it.each([
    ["the call", 1],
    ["the answer", 2],
  ])("lose no line, and show none twice, when %s of one shard to another is lost", async (lost, count) => {
    // The calls of one doubling, in their order.
    for (let fails = 0, isAfterLast = false; !isAfterLast; fails++) {
      const index = newIndex();
      if (count > 1) {
        await index.tell("a", 0);
        await index.grow();
        await index.finish();
      }
      await Promise.all(Array.from({ length: 10 }, (_, i) => index.tell(`g-${i}`, LISTS[i % 3] ?? 0)));
      let calls = 0;
      const around = async (call: () => unknown): Promise<unknown> => {
        if (calls++ !== fails) return call();
        if (lost === "the answer") await call();
        throw new Error("lost");
      };
      await index.grow();
      for (const shard of [0, 1]) await index.intercept(shard, around);
      for (const shard of [0, 1, 0, 1]) {
        bench.aheadMs += 1_001;
        await index.shard(shard).ring();
      }
      isAfterLast = calls <= fails;
      for (const shard of [0, 1]) await index.crash(shard);
      // The lines that may be in two shards move before they change.
      for (let i = 0; i < 10; i += 3) await index.tell(`g-${i}`, LISTS[(i + 1) % 3] ?? 0);
      await index.expectExact();
      expect(await index.finish()).toBe(count * 2);
      await index.expectExact();
    }
  });

  it("change no line that may be in two of them, and list it once", async () => {
    const index = newIndex();
    for (let i = 0; i < 20; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    let isDown = true;
    await index.intercept(0, async (call, kind) => {
      if (kind !== "take") return call();
      if (!isDown) return call();
      await call();
      throw new Error("lost");
    });
    await index.shard(0).ring();
    expect((await index.state())?.sealed).toBeDefined();
    const reply = await (index.shard(0) as unknown as ObjectMethods).listIndex({
      machine: "completion",
      lists: [0],
      order: "newest",
      olderThanMs: 0,
      limit: 100,
    });
    expect(reply).toMatchObject({ ok: false, code: "backend_unavailable", retryable: true });
    const changes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => index.tell(`g-${i}`, 7)));
    expect(new Set(changes.map(({ status }) => status))).toEqual(new Set(["fulfilled", "rejected"]));
    isDown = false;
    await index.expectExact();
    await index.finish();
    await index.expectExact();
  });

  it("take no message about a line that another one has yet to move to them", async () => {
    const index = newIndex();
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    let begins = 0;
    await index.intercept(0, (call) => (begins++ === 0 ? call() : Promise.reject(new Error("lost"))));
    await index.shard(0).ring();
    expect(await index.state(1)).toMatchObject({ isReceiving: true });
    for (const id of index.expected.keys()) {
      const line = { ...index.message(id, 7), shard: 1, keyPrefix: index.keyPrefix };
      const isItsOwn = shardOfLine(`completion:${id}`, 2) === 1;
      const reply = await (index.shard(1) as unknown as ObjectMethods).indexLine(line);
      expect(reply).toEqual({ ok: true, output: { shard: 0, count: 2 } });
      if (isItsOwn) await index.tell(id, 7);
    }
    await index.crash(0);
    await index.expectExact();
    await index.finish();
    await index.expectExact();
  });

  it("send a late message on, and keep the line that was sent last", async () => {
    const index = newIndex();
    const late = Array.from({ length: 8 }, (_, i) => index.message(`g-${i}`, 4));
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    for (const line of late) expect(await index.sender().send(line)).toBeGreaterThan(line.sentAtMs);
    await index.expectExact();
    // A version without shards does not know where to send it.
    const old = await Promise.all(late.map((line) => (index.shard(0) as unknown as ObjectMethods).indexLine(line)));
    expect(old.filter(({ ok }) => !ok)).toContainEqual(
      expect.objectContaining({ code: "backend_unavailable", retryable: true }),
    );
    expect(old.some(({ ok }) => ok)).toBe(true);
  });

  it("are found at once by an object whose isolate knows their number", async () => {
    const index = newIndex();
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    const isolate = {};
    const called: string[] = [];
    const real: ObjectNamespace = env.COORDINATOR;
    const idFromName = (name: string) => {
      called.push(name);
      return real.idFromName(name);
    };
    const namespace = { ...real, idFromName, get: (id: object) => real.get(id) };
    const callsOf = async (line: IndexMessage): Promise<number> => {
      const { keyPrefix } = index;
      called.length = 0;
      // An object of its own each time.
      await new IndexSender({ env: isolate, namespace: () => namespace, keyPrefix: () => keyPrefix }).send(line);
      return called.length;
    };
    const first = Array.from({ length: 8 }, (_, i) => index.message(`g-${i}`, 0)).find(({ id }) => {
      return shardOfLine(`completion:${id}`, 2) === 1;
    });
    expect(await callsOf(first as IndexMessage)).toBe(2);
    for (let i = 0; i < 8; i++) expect(await callsOf(index.message(`g-${i}`, 0))).toBe(1);
  });

  it("double once when two of them ask at the same time", async () => {
    const index = newIndex();
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    const zero = index.shard(0) as unknown as ObjectMethods;
    await Promise.all([zero.indexShard({ kind: "grow", count: 2 }), zero.indexShard({ kind: "grow", count: 2 })]);
    // Shard 0 has moved its lines, and shard 1 has not.
    await index.shard(0).ring();
    for (let i = 0; i < 8; i++) await index.tell(`h-${i}`, 0);
    await index.expectExact();
    expect(await index.finish()).toBe(4);
    await zero.indexShard({ kind: "grow", count: 2 });
    expect(await index.finish()).toBe(4);
  });

  it("go on with a page that was read before they doubled", async () => {
    const index = newIndex();
    for (let i = 0; i < 12; i++) await index.tell(`g-${i}`, 0);
    const first = await index.page({ limit: 5 });
    await index.grow();
    await index.finish();
    const second = await index.page({ limit: 5, after: first.lines.at(-1) });
    await index.grow();
    const third = await index.page({ limit: 5, after: second.lines.at(-1) });
    const pages = [first, second, third];
    expect(pages.map(({ isCut }) => isCut)).toEqual([true, true, false]);
    expect(pages.flatMap(({ lines }) => lines.map(({ id }) => id))).toEqual(index.expectedIds(0));
  });

  it("fail a list when one of them does not answer, so that the caller tries again", async () => {
    const index = newIndex();
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    await index.intercept(0, () => Promise.reject(new Error("down")));
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR, keyPrefix: index.keyPrefix });
    const down = { code: "backend_unavailable", retryable: true };
    await expect(coordinator.indexCounts()).rejects.toMatchObject(down);
    await expect(new CompletionTracker(coordinator).list({ state: "ended" })).rejects.toMatchObject(down);
  });

  it("say as of when the latest of them is complete", async () => {
    const index = newIndex();
    const onTimeMs = () => bench.now() - 5_000;
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    expect((await index.page()).asOfMs).toBe(onTimeMs());
    const sinceMs = bench.now() - 60_000;
    const [early = "", late = ""] = [0, 1].map((shard) => {
      return [...index.expected.keys()].find((id) => shardOfLine(`completion:${id}`, 2) === shard);
    });
    await index.sender().send({ ...index.message(early, 0), sinceMs: sinceMs + 20_000 });
    await index.sender().send({ ...index.message(late, 0), sinceMs });
    expect([(await index.page()).asOfMs, (await index.counts()).asOfMs]).toEqual([sinceMs, sinceMs]);
    bench.aheadMs += 59_000;
    expect((await index.page()).asOfMs).toBe(sinceMs);
    bench.aheadMs += 1_000;
    expect((await index.page()).asOfMs).toBe(onTimeMs());
  });

  it("take the groups that a full one refuses, and are full when there are sixteen", async () => {
    const index = newIndex();
    await index.tell("a", 0);
    const empty = await index.fill(0, 1_000_000_000);
    await expect(index.tell("b", 0)).rejects.toMatchObject({ code: "backend_unavailable", retryable: true });
    await index.tell("a", 4);
    expect(await index.state()).toMatchObject({ target: 2 });
    await empty();
    await index.finish();
    await index.tell("b", 0);
    await index.expectExact();
    for (let i = 0; i < 4; i++) {
      await index.grow();
      await index.finish();
    }
    expect(await index.state()).toMatchObject({ count: 16 });
    await index.expectExact();
    for (let shard = 0; shard < 16; shard++) await index.fill(shard, 1_000_000_000);
    await expect(index.tell("c", 0)).rejects.toMatchObject({ code: "limit_exceeded" });
  });

  it("end with their groups", async () => {
    const index = newIndex();
    for (let i = 0; i < 8; i++) await index.tell(`g-${i}`, 0);
    await index.grow();
    await index.finish();
    // A shard with lines does not end, whatever shard 0 says.
    await (index.shard(1) as unknown as ObjectMethods).indexShard({ kind: "close" });
    await index.expectExact();
    const tables = async () =>
      (await Promise.all([0, 1].map((shard) => tablesOf(index.shard(shard))))).map(({ length }) => length);
    const expire = (shard: number) =>
      inside(
        index.shard(shard),
        (_, { storage: { sql } }) => void sql.exec("UPDATE lines SET until = 0 WHERE name > ':shard'"),
      );
    await expire(0);
    bench.aheadMs += HOUR_MS;
    await index.shard(0).ring();
    expect([await tables(), await index.state()]).toEqual([[2, 2], expect.objectContaining({ isUnsettled: false })]);
    await expire(1);
    bench.aheadMs += HOUR_MS;
    await index.shard(1).ring();
    await index.shard(0).ring();
    expect(await tables()).toEqual([0, 0]);
    index.expected.clear();
    await index.tell("again", 0);
    await index.expectExact();
  });

  it("begin again when some of them have ended and others must not", async () => {
    const index = newIndex();
    await index.tell("a", 0);
    await index.grow();
    await index.finish();
    const ids = Array.from({ length: 8 }, (_, i) => `g-${i}`);
    const tellAll = () => Promise.allSettled(ids.map((id) => index.tell(id, 0)));
    // A late call ends a shard that lines are on their way to.
    await inside(index.shard(1), (_, { storage: { sql } }) => void sql.exec("DELETE FROM lines WHERE name > ':shard'"));
    index.expected.delete("a");
    await (index.shard(1) as unknown as ObjectMethods).indexShard({ kind: "close" });
    expect(await tablesOf(index.shard(1))).toEqual([]);
    expect(new Set((await tellAll()).map(({ status }) => status))).toEqual(new Set(["fulfilled", "rejected"]));
    expect(await index.finish()).toBe(2);
    expect(new Set((await tellAll()).map(({ status }) => status))).toEqual(new Set(["fulfilled"]));
    await index.tell("a", 0);
    await index.expectExact();
  });

  it("show the groups of real objects, which find their shards by themselves", async () => {
    const { keyPrefix } = newIndex();
    const index = new TestIndex(keyPrefix);
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR, keyPrefix });
    const groups = new CompletionTracker(coordinator);
    const ids = Array.from({ length: 6 }, (_, i) => `g-${i}`);
    const pass = async () => {
      bench.aheadMs += 6_000;
      for (const id of ids) await groupObject(id, keyPrefix).ring();
    };
    for (const id of ids) await groups.register(id, ["a"], { timeoutSec: 0 });
    await pass();
    await index.grow();
    await index.finish();
    expect((await groups.list()).items.map(({ groupId }) => groupId)).toEqual(ids);
    for (const id of ids.slice(0, 3)) await groups.ack(id, "a");
    await pass();
    expect((await groups.list()).items.map(({ groupId }) => groupId)).toEqual(ids.slice(3));
    expect((await groups.list({ state: "ended" })).items).toHaveLength(3);
    expect(await coordinator.reindex("completion", "g-5")).toBe(true);
    expect((await coordinator.indexCounts()).lists).toMatchObject([{ count: 3 }]);
  });
});
