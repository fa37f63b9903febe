import { equal, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";

/** Passes a value of a wrong type, as plain JavaScript may. */
const wrong = <T>(value: unknown): T => value as T;

const BAD_IDS: readonly unknown[] = [
  undefined,
  null,
  5,
  "",
  {},
  [],
  "x".repeat(257),
  "é".repeat(129),
  "\ud800",
  "\udc00x",
];
const BAD_TTLS: readonly unknown[] = [undefined, null, "60", 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 31_536_001];
const BAD_TEXTS: readonly unknown[] = [undefined, null, 5, {}, "\ud800", "x".repeat(65_537)];

export const badInput: readonly ConformanceCase[] = [
  aCase("bad input of raw keys is refused by the field's name, and changes nothing", {}, async (t) => {
    const c = t.coordinator();
    const [number, set, list] = [t.id("number"), t.id("set"), t.id("list")];
    await c.incr(number, 5);
    await c.sadd(set, "a");
    await c.rpush(list, "a");
    const refused = (call: () => Promise<unknown>, field: string) => rejects(call, "invalid_input", field, field);
    for (const bad of BAD_IDS) {
      const key = wrong<string>(bad);
      await refused(() => c.incr(key), "key");
      await refused(() => c.getInt(key), "key");
      await refused(() => c.setIfAbsent(key, 60), "key");
      await refused(() => c.sadd(key, "a"), "key");
      await refused(() => c.srem(key, "a"), "key");
      await refused(() => c.scard(key), "key");
      await refused(() => c.rpush(key, "a"), "key");
      await refused(() => c.lrange(key), "key");
      await refused(() => c.expire(key, 60), "key");
      await refused(() => c.delete(number, key), "keys[1]");
    }
    for (const bad of [null, "1", 0.5, Number.NaN, 2 ** 53, -(2 ** 53), Number.POSITIVE_INFINITY]) {
      await refused(() => c.incr(number, wrong(bad)), "delta");
    }
    for (const bad of BAD_TTLS) {
      await refused(() => c.setIfAbsent(t.id("flag"), wrong(bad)), "ttlSec");
      await refused(() => c.expire(number, wrong(bad)), "ttlSec");
    }
    for (const bad of BAD_TEXTS) {
      await refused(() => c.sadd(set, "fine", wrong(bad)), "members[1]");
      await refused(() => c.srem(set, "a", wrong(bad)), "members[1]");
      await refused(() => c.rpush(list, "fine", wrong(bad)), "values[1]");
    }
    const many = Array.from({ length: 10_001 }, () => "x");
    await refused(() => c.sadd(set, ...many), "members");
    await refused(() => c.srem(set, ...many), "members");
    await refused(() => c.rpush(list, ...many), "values");
    equal(await c.getInt(number), 5, "the number");
    equal(await c.scard(set), 1, "the set");
    equal(await c.lrange(list), ["a"], "the list");
    equal(await c.setIfAbsent(t.id("flag"), 60), true, "the flag");
  }),
  aCase("bad input of groups is refused by the field's name, and changes nothing", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const refused = (call: () => Promise<unknown>, field: string) => rejects(call, "invalid_input", field, field);
    const before = await tracker.register(id, ["a", "b"]);
    for (const bad of BAD_IDS) {
      const group = wrong<string>(bad);
      await refused(() => tracker.register(group, 1), "groupId");
      await refused(() => tracker.ack(group, "a"), "groupId");
      await refused(() => tracker.ackAndStatus(group, ["a"]), "groupId");
      await refused(() => tracker.fail(group, "a", "broken"), "groupId");
      await refused(() => tracker.decrement(group), "groupId");
      await refused(() => tracker.cancel(group, "enough"), "groupId");
      await refused(() => tracker.status(group), "groupId");
      await refused(() => tracker.wait(group), "groupId");
      await refused(() => tracker.results(group), "groupId");
      await refused(() => tracker.redeliver(group), "groupId");
      // A task may be a number from 0 on, so use a negative one.
      const task = wrong<string>(typeof bad === "number" ? -bad : bad);
      await refused(() => tracker.register(t.id("new"), ["a", task]), "tasks[1]");
      await refused(() => tracker.fail(id, task, "broken"), "task");
      await refused(() => tracker.ack(id, ["a", wrong({ id: task })]), "tasks[1].id");
      if (typeof bad !== "object" || bad === null) await refused(() => tracker.ack(id, ["a", task]), "tasks[1]");
    }
    for (const bad of [undefined, null, "2", {}, -1, 0.5, Number.NaN, 1_000_000_001]) {
      await refused(() => tracker.register(t.id("new"), wrong(bad)), typeof bad === "number" ? "total" : "tasks");
    }
    await refused(() => tracker.register(t.id("new"), ["a", "b", "a"]), "tasks[2]");
    for (const bad of ["60", -1, Number.NaN, Number.POSITIVE_INFINITY, 31_536_001]) {
      await refused(() => tracker.register(t.id("new"), 1, { timeoutSec: wrong(bad) }), "timeoutSec");
    }
    for (const bad of BAD_TTLS.filter((value) => value !== undefined && value !== null)) {
      await refused(() => tracker.register(t.id("new"), 1, { ttlSec: wrong(bad) }), "ttlSec");
    }
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    for (const bad of [cycle, 1n, () => {}, Symbol("s"), "x".repeat(16_385)]) {
      await refused(() => tracker.register(t.id("new"), 1, { metadata: bad }), "metadata");
    }
    for (const bad of [false, 1, "x", null, {}, { from: "1" }, { from: -1 }, { from: 0.5 }]) {
      await refused(() => tracker.register(id, ["a", "b"], { restart: wrong(bad) }), "restart");
    }
    for (const field of ["onSuccess", "onFailure", "onComplete", "onTimeout", "onEnd"] as const) {
      for (const bad of [
        null,
        5,
        "record",
        {},
        { handler: "" },
        { handler: 5 },
        { handler: "a", url: "https://a.example" },
      ]) {
        await refused(() => tracker.register(t.id("new"), 1, { [field]: bad }), field);
      }
      for (const bad of [
        { url: 5 },
        { url: "" },
        { url: "not a url" },
        { url: `https://a.example/${"x".repeat(2_048)}` },
      ]) {
        await refused(() => tracker.register(t.id("new"), 1, { [field]: bad }), `${field}.url`);
      }
      const payload = { handler: "nobody", payload: "x".repeat(65_537) };
      await refused(() => tracker.register(t.id("new"), 1, { [field]: payload }), `${field}.payload`);
    }
    await refused(() => tracker.ack(id, []), "tasks");
    await refused(
      () =>
        tracker.ack(
          id,
          Array.from({ length: 1_001 }, (_, i) => `t${i}`),
        ),
      "tasks",
    );
    await refused(() => tracker.ack(id, { id: "a", error: wrong(5) }), "task.error");
    await refused(() => tracker.ack(id, wrong({ id: "a", result: 1, error: "both" })), "task");
    await refused(() => tracker.ack(id, { id: "a", result: "x".repeat(16_385) }), "task.result");
    for (const bad of [null, "1", -1, 0.5, Number.NaN]) {
      await refused(() => tracker.ack(id, "a", { generation: wrong(bad) }), "generation");
      await refused(() => tracker.ack(id, ["a"], { generation: wrong(bad) }), "generation");
    }
    await refused(() => tracker.fail(id, "a", wrong(undefined)), "message");
    await refused(() => tracker.cancel(id, wrong(5)), "reason");
    for (const bad of [null, "1", 0, -1, 0.5, 1_000_000_001])
      await refused(() => tracker.decrement(id, wrong(bad)), "by");
    await refused(() => tracker.decrement(id, 1, { opId: "" }), "opId");
    for (const bad of [null, "1", -1, Number.NaN, 86_400_001]) {
      await refused(() => tracker.wait(id, { timeoutMs: wrong(bad) }), "timeoutMs");
    }
    for (const bad of [null, "1", -1, 0.5]) await refused(() => tracker.results(id, { after: wrong(bad) }), "after");
    for (const bad of [null, "1", 0, 1_001]) await refused(() => tracker.results(id, { limit: wrong(bad) }), "limit");
    equal(await tracker.status(id), before, "the group");
    equal(await tracker.status(t.id("new")), null, "what was refused was not registered");
  }),
];
