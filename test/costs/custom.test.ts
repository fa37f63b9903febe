import { describe, expect, it } from "vitest";
import { CompletionTracker, type Coordinator, defineBackend } from "../../src/index.js";
import { VersionedStore } from "../backends/custom-store.js";

/** What a record may hold unless its store says otherwise. */
const MAX_RECORD_BYTES = 1_048_576;

/** A store that counts its calls, and the characters that they carry. */
function lab() {
  const store = new VersionedStore();
  const { load, compareAndSet } = store.definition;
  let carried = 0;
  const coordinator = defineBackend({
    load: async (name) => {
      const record = await load(name);
      carried += record?.data.length ?? 0;
      return record;
    },
    compareAndSet: (name, version, next) => {
      carried += next?.data.length ?? 0;
      return compareAndSet(name, version, next);
    },
  });
  const costOf = async (work: (coordinator: Coordinator) => Promise<unknown>) => {
    const [calls, before] = [store.calls.length, carried];
    await work(coordinator);
    return { calls: store.calls.length - calls, carried: carried - before };
  };
  return { coordinator, costOf, groups: new CompletionTracker(coordinator) };
}

describe("a custom store", () => {
  it("is called twice for 400 acks of one group that begin at once", async () => {
    const { groups, costOf } = lab();
    await groups.register("g", 400);
    const tasks = Array.from({ length: 400 }, (_, i) => `t${i}`);
    const { calls } = await costOf(() => Promise.all(tasks.map((task) => groups.ack("g", task))));
    expect(calls).toBe(2);
    expect(await groups.status("g")).toMatchObject({ state: "completed", succeeded: 400 });
  });

  it("is called twice for 400 acks of listed tasks that begin at once, and hand on", async () => {
    const { groups, costOf } = lab();
    const tasks = Array.from({ length: 400 }, (_, i) => `t${i}`);
    await groups.register("g", tasks, { open: true });
    const next = (task: string) => [{ stage: "next", id: task }];
    const { calls } = await costOf(() => Promise.all(tasks.map((task) => groups.ack("g", task, { next: next(task) }))));
    expect(calls).toBe(2);
    expect(await groups.status("g")).toMatchObject({ state: "open", total: 800, succeeded: 400, remaining: 400 });
  });

  it("carries a record of 1 MB at most for an ack, twice, and refuses a larger one by its name", async () => {
    const { groups, costOf } = lab();
    const tasks = Array.from({ length: 11_000 }, () => crypto.randomUUID());
    await groups.register("g", tasks);
    const { calls, carried } = await costOf(() => groups.ack("g", tasks[0] ?? ""));
    expect(calls).toBe(2);
    expect(carried).toBeLessThan(2 * MAX_RECORD_BYTES);
    await expect(groups.register("larger", [...tasks, ...tasks.map((id) => `${id}'`)])).rejects.toMatchObject({
      code: "limit_exceeded",
      message: expect.stringContaining("maxRecordBytes"),
    });
  });

  it("carries 200 KB for an ack of 100,000 tasks that are numbers", async () => {
    const { groups, costOf } = lab();
    await groups.register("g", { indexed: 100_000 });
    for (let from = 0; from < 100_000; from += 1_000) {
      if (from === 50_000) continue;
      await groups.ack(
        "g",
        Array.from({ length: 1_000 }, (_, i) => from + i),
      );
    }
    const { calls, carried } = await costOf(() => groups.ack("g", 50_000));
    expect(calls).toBe(2);
    expect(carried).toBeLessThan(300_000);
  });

  it("carries no more for a decrement after thousands than after the first thousand", async () => {
    const { groups, costOf } = lab();
    await groups.register("g", 100_000);
    const decrements = (count: number) =>
      costOf(async () => {
        await Promise.all(Array.from({ length: count }, () => groups.decrement("g")));
      });
    expect((await decrements(1_000)).calls).toBe(2);
    const { carried } = await costOf(() => groups.decrement("g"));
    expect(carried).toBeLessThan(260_000);
    expect((await decrements(5_000)).calls).toBe(10);
    const later = await costOf(() => groups.decrement("g"));
    expect(later.calls).toBe(2);
    expect(later.carried).toBeLessThan(carried * 1.02);
  });
});
