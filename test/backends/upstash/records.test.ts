import { describe, expect, it } from "vitest";
import { keysOf } from "../../../src/backends/upstash/keys.js";
import { CompletionTracker, type HandlerEvent, type MachineName, RequestWaitTracker } from "../../../src/index.js";
import { useLab } from "./support.js";

const lab = useLab();

interface StoredHead {
  schema: number;
  fields: Record<string, unknown>;
}

/** Stores the record's head anew, as another version of the library would have left it. */
async function restore(machine: MachineName, id: string, change: (head: StoredHead) => object): Promise<void> {
  const { record } = keysOf(lab.keyPrefix, machine, id);
  const head = JSON.parse((await lab.raw.hget(record, "h")) ?? "null") as StoredHead;
  await lab.raw.hset(record, "h", JSON.stringify(change(head)));
}

/** Everything that the server holds of a record. */
async function stored(machine: MachineName, id: string): Promise<unknown> {
  const { record, due, name } = keysOf(lab.keyPrefix, machine, id);
  const [members, endsAtMs, dueAtMs] = await Promise.all([
    lab.raw.hgetall(record),
    lab.raw.pexpiretime(record),
    lab.raw.zscore(due, name),
  ]);
  return { members, endsAtMs, dueAtMs };
}

/** A tracker with a handler, and what that was called with. */
function makeTracker() {
  const events: HandlerEvent[] = [];
  const coordinator = lab.coordinator();
  const handlers = { record: (event: HandlerEvent) => void events.push(event) };
  return { coordinator, events, tracker: new CompletionTracker(coordinator, { handlers, waitUntil: () => {} }) };
}

const ON_END = { handler: "record", payload: null } as const;

/** Fields, at every level, that this version knows nothing of. */
const withMore = (head: StoredHead): object => ({
  ...head,
  origin: "elsewhere",
  fields: { ...head.fields, flavour: { of: ["another", 1, null] }, hold: 0 },
});
const newer = (head: StoredHead): object => ({ ...head, schema: head.schema + 1 });

describe("a record of another version", () => {
  it("of this schema still works when it holds unknown fields: a group", async () => {
    const { coordinator, events, tracker } = makeTracker();
    const before = await tracker.register("g", ["a", "b", "c"], { onEnd: ON_END, metadata: { n: 1 } });
    await tracker.ack("g", { id: "a", result: 1 });
    await restore("completion", "g", withMore);
    await lab.raw.hset(keysOf(lab.keyPrefix, "completion", "g").record, "q:1", "a member of a kind unknown here");
    const status = await tracker.status("g");
    const { version, lastAckAtMs } = status ?? {};
    expect(status).toEqual({ ...before, succeeded: 1, remaining: 2, version, lastAckAtMs });
    expect(version).not.toBe(before.version);
    expect(lastAckAtMs).toBeGreaterThanOrEqual(before.registeredAtMs);
    expect(await tracker.register("g", ["a", "b", "c"], { onEnd: ON_END })).toMatchObject({ remaining: 2 });
    expect((await tracker.ack("g", "a")).verdict).toBe("duplicate");
    expect(await tracker.ack("g", "b")).toMatchObject({ verdict: "accepted", remaining: 1 });
    expect(await tracker.ack("g", "c")).toMatchObject({ verdict: "accepted", ended: true });
    await coordinator.drain();
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]).toMatchObject({ type: "group.completed", status: { succeeded: 3, metadata: { n: 1 } } });
  });

  it("of this schema still works when it holds unknown fields: a request", async () => {
    const requests = new RequestWaitTracker(lab.coordinator(), { stages: ["embed"] });
    await requests.register("r");
    await requests.add("r", "embed", ["a", "b"]);
    await requests.ack("r", "embed", "a", { processed: 2 });
    await restore("request", "r", withMore);
    expect((await requests.status("r"))?.state).toBe("pending");
    expect((await requests.ack("r", "embed", "b")).state).toBe("complete");
    expect((await requests.wait("r", { timeoutMs: 0 }))?.stages.embed.processed).toBe(3);
  });

  it("of a newer schema is refused, and left as it is and when it is due", async () => {
    const { coordinator, events, tracker } = makeTracker();
    await tracker.register("g", ["a", "b"], { onEnd: ON_END, timeoutSec: 0.001 });
    await restore("completion", "g", newer);
    const before = await stored("completion", "g");
    const refused = {
      code: "backend_rejected",
      applied: "no",
      message: expect.stringContaining("the record was written by a later version"),
    };
    for (const call of [
      () => tracker.status("g"),
      () => tracker.ack("g", "a"),
      () => tracker.register("g", ["a", "b"], { onEnd: ON_END }),
      () => tracker.register("g", ["c"], { restart: true }),
      () => tracker.cancel("g", "enough"),
      () => tracker.decrement("g"),
      () => tracker.redeliver("g"),
      () => tracker.wait("g", { timeoutMs: 5_000 }),
    ]) {
      await expect(call()).rejects.toMatchObject(refused);
    }
    expect(await stored("completion", "g")).toEqual(before);
    await coordinator.drain();
    expect(await stored("completion", "g")).toMatchObject({ ...Object(before), dueAtMs: expect.any(String) });
    expect(events).toEqual([]);

    // Once its own version is back, it goes on where it stood.
    await restore("completion", "g", (head) => ({ ...head, schema: head.schema - 1 }));
    expect((await tracker.status("g"))?.state).toBe("timed_out");
    await tracker.redeliver("g");
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]).toMatchObject({ type: "group.timed_out", attempt: 1 });
  });
});

describe("a record of many members", () => {
  it("is read whole by one step, in as many parts as Lua takes: early acks count one by one", async () => {
    const { tracker } = makeTracker();
    // A part is 2,000 members: two whole ones and some.
    const ids = Array.from({ length: 4_500 }, (_, n) => `task-${n}`);
    for (let from = 0; from < ids.length; from += 1_000) await tracker.ack("g", ids.slice(from, from + 1_000));
    expect(await tracker.register("g", [...ids, "last"])).toMatchObject({
      state: "open",
      succeeded: 4_500,
      remaining: 1,
    });
    for (const id of [0, 1_999, 2_000, 3_999, 4_000, 4_499]) {
      expect(await tracker.ack("g", `task-${id}`)).toMatchObject({ verdict: "duplicate" });
    }
    expect(await tracker.ack("g", "last")).toMatchObject({ state: "completed", ended: true });
  });
});

describe("a record that the server evicts", () => {
  it("is unknown from then on, never complete, whatever was counted", async () => {
    const { coordinator, events, tracker } = makeTracker();
    const { generation } = await tracker.register("g", ["a", "b", "c"], { onEnd: ON_END, timeoutSec: 0.001 });
    const open = await tracker.register("h", 5, { onEnd: ON_END });
    await tracker.decrement("h", 4);
    for (const id of ["g", "h"]) expect(await lab.raw.del(keysOf(lab.keyPrefix, "completion", id).record)).toBe(1);
    for (const id of ["g", "h"]) {
      expect(await tracker.status(id)).toBeNull();
      expect(await tracker.cancel(id, "enough")).toBeNull();
      expect(await tracker.wait(id, { timeoutMs: 0 })).toBeNull();
    }
    expect(await tracker.decrement("h")).toBeNull();
    expect((await tracker.ack("g", "a", { generation })).verdict).toBe("unknown");
    expect((await tracker.ack("h", "a", { generation: open.generation })).verdict).toBe("unknown");
    await coordinator.drain();
    expect(await stored("completion", "g")).toMatchObject({ members: {}, dueAtMs: null });
    expect(events).toEqual([]);
  });

  it("leaves nothing of what had counted: registered and acked again, the group completes once, with every task", async () => {
    const { coordinator, events, tracker } = makeTracker();
    const tasks = ["a", "b", "c", "d", "e"];
    const first = await tracker.register("g", tasks, { onEnd: ON_END });
    await tracker.ack("g", [{ id: "a", result: "lost" }, "b", { id: "c", error: "lost" }]);
    await lab.raw.del(keysOf(lab.keyPrefix, "completion", "g").record);
    // A message that is redelivered before the registration is, and one after it.
    expect((await tracker.ack("g", "b")).verdict).toBe("early");
    const second = await tracker.register("g", tasks, { onEnd: ON_END });
    expect(second).toMatchObject({ state: "open", succeeded: 1, failed: 0, remaining: 4 });
    expect(second.generation).toBeGreaterThan(first.generation);
    expect(await tracker.ack("g", "d")).toMatchObject({ verdict: "accepted", remaining: 3 });
    expect(await tracker.ack("g", "e")).toMatchObject({ verdict: "accepted", remaining: 2, ended: false });
    expect((await tracker.status("g"))?.state).toBe("open");
    expect(await tracker.ack("g", ["a", "c"])).toMatchObject([{ verdict: "accepted" }, { ended: true }]);
    await coordinator.drain();
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]?.status).toMatchObject({ state: "completed", ok: true, succeeded: 5, errors: [] });
    expect((await tracker.results("g"))?.items).toEqual([]);
  });
});
