import { equal, isTrue, present, rejects } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

/** Ids that a careless encoding confuses, loses or misreads. */
export const ODD_IDS: readonly string[] = [
  "__proto__",
  "constructor",
  "toString",
  "a",
  "b",
  "a:b",
  "a|b",
  "|",
  ":",
  "a b",
  " ",
  "{a}",
  "{b}",
  "{a}b",
  "{a}:b",
  "{}a",
  "}{",
  "{",
  "a\u0000b",
  "\u0000",
  "a\nb",
  "é",
  "e\u0301",
  "🙂",
  "/",
  "..",
  "%2F",
  "?a=b#c",
  "*",
  "h",
  "m:a",
  "null",
  "0",
  "-1",
  "\u007f",
  '"\\',
];

const YEAR_MS = 31_536_000_000;

/** Writes one key of each kind, and returns the keys. */
async function fillAll(t: Bench): Promise<Record<"number" | "set" | "list" | "flag", string>> {
  const c = t.coordinator();
  const keys = { number: t.id("number"), set: t.id("set"), list: t.id("list"), flag: t.id("flag") };
  await c.incr(keys.number, 5);
  await c.sadd(keys.set, "x", "y");
  await c.rpush(keys.list, "first", "second");
  await c.setIfAbsent(keys.flag, 3_600);
  return keys;
}

export const primitives: readonly ConformanceCase[] = [
  aCase("incr adds, counts an unset key as 0, and says the sum", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.getInt(key), 0, "getInt of an unset key");
    equal(await c.incr(key), 1, "the first incr");
    equal(await c.incr(key, 41), 42, "incr by 41");
    equal(await c.incr(key, -50), -8, "incr by -50");
    equal(await c.incr(key, 0), -8, "incr by 0");
    equal(await t.coordinator().getInt(key), -8, "getInt in another instance");
  }),
  aCase("incr loses no call among many at once", {}, async (t) => {
    const key = t.id("key");
    const clients = [t.coordinator(), t.coordinator(), t.coordinator()];
    const sums = await Promise.all(Array.from({ length: 30 }, (_, i) => clients[i % 3]?.incr(key)));
    equal(new Set(sums).size, 30, "every call saw a sum of its own");
    equal(await t.coordinator().getInt(key), 30, "the sum");
  }),
  aCase("incr is exact up to the safe integers and refuses to leave them", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.incr(key, Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER, "the largest");
    await rejects(() => c.incr(key), "limit_exceeded", "one more");
    equal(await c.getInt(key), Number.MAX_SAFE_INTEGER, "after the refusal");
    equal(await c.incr(key, -1), Number.MAX_SAFE_INTEGER - 1, "one less");
    equal(await c.incr(t.id("low"), Number.MIN_SAFE_INTEGER), Number.MIN_SAFE_INTEGER, "the smallest");
    await rejects(() => c.incr(t.id("low"), -1), "limit_exceeded", "one less than the smallest");
    equal(await c.incr(key, -(Number.MAX_SAFE_INTEGER - 1)), 0, "back to 0");
  }),
  aCase("setIfAbsent makes a key for one of many callers", {}, async (t) => {
    const key = t.id("key");
    const made = await Promise.all(Array.from({ length: 10 }, () => t.coordinator().setIfAbsent(key, 60)));
    equal(made.filter(Boolean).length, 1, "callers that made it");
    equal(await t.coordinator().setIfAbsent(key, 60), false, "a later caller");
    equal(await t.coordinator().delete(key), 1, "delete");
    equal(await t.coordinator().setIfAbsent(key, 60), true, "after the delete");
  }),
  aCase("setIfAbsent makes a key for its TTL, which another try does not prolong", { needs: ["clock"] }, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.setIfAbsent(key, 600), true, "the first");
    await t.advance(500_000);
    equal(await c.setIfAbsent(key, 600), false, "within the TTL");
    await t.advance(101_000);
    equal(await c.setIfAbsent(key, 600), true, "after the TTL");
  }),
  aCase("setIfAbsent says false for a key of any kind", {}, async (t) => {
    const keys = await fillAll(t);
    const c = t.coordinator();
    for (const key of Object.values(keys)) equal(await c.setIfAbsent(key, 60), false, key);
    equal(await c.getInt(keys.number), 5, "the number");
  }),
  aCase("a set counts each member once", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.scard(key), 0, "scard of an unset key");
    equal(await c.srem(key, "a"), 0, "srem from an unset key");
    equal(await c.sadd(key, "a", "b", "a"), 2, "two members, one of them twice");
    equal(await c.sadd(key, "b", "c"), 1, "one new member");
    equal(await c.scard(key), 3, "scard");
    equal(await c.srem(key, "a", "z", "a"), 1, "srem of one that is there and one that is not");
    equal(await t.coordinator().scard(key), 2, "scard in another instance");
    equal(await c.sadd(key), 0, "sadd of nothing");
    equal(await c.srem(key), 0, "srem of nothing");
  }),
  aCase("a set without members is gone, and its key free for another kind", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    await c.sadd(key, "a", "b");
    equal(await c.srem(key, "a", "b"), 2, "srem of all");
    equal(await c.delete(key), 0, "there is nothing to delete");
    equal(await c.rpush(key, "x"), 1, "rpush");
  }),
  aCase(
    "a list that takes several pages comes back whole, and as one list",
    { row: 61, needs: ["large_records"] },
    async (t) => {
      const [c, key] = [t.coordinator(), t.id("key")];
      const values = Array.from({ length: 1_200 }, (_, i) => `${i}:${"x".repeat(1_000)}`);
      for (let i = 0; i < values.length; i += 200) await c.rpush(key, ...values.slice(i, i + 200));
      equal(await c.lrange(key), values, "the list");
      const first = await c.run("kv.lrange", key, {});
      isTrue((first.values ?? []).join("").length <= 1_048_576, "a page of a megabyte");
      const next = present(first.next, "where the list goes on");
      const rest = { from: next, ...(first.life === undefined ? {} : { life: first.life }) };
      await c.rpush(key, "last");
      equal((await c.run("kv.lrange", key, rest)).values, [...values.slice(next), "last"], "the second page");
      equal((await c.run("kv.lrange", key, { ...rest, bytes: 1 })).values, [values[next]], "one item at least");
      await c.delete(key);
      await c.rpush(key, "anew");
      const other = await c.run("kv.lrange", key, rest);
      equal([other.values, other.next], [["anew"], undefined], "another list from its beginning");
      isTrue(other.life !== first.life, "it says that it is another");
    },
  ),
  aCase("a list keeps its order and its texts", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.lrange(key), [], "lrange of an unset key");
    equal(await c.rpush(key, "b"), 1, "the first");
    const values = ["a", "", "b", "é🙂", "a\u0000b", '{"json":null}', "123", "__proto__", "line\nbreak"];
    equal(await c.rpush(key, ...values), 10, "many");
    equal(await t.coordinator().lrange(key), ["b", ...values], "lrange");
    await rejects(() => c.rpush(key), "invalid_input", "rpush of nothing", "values");
  }),
  aCase("lists and sets take thousands of values in one call", {}, async (t) => {
    const c = t.coordinator();
    const values = Array.from({ length: 2_500 }, (_, i) => `value-${i}`);
    equal(await c.rpush(t.id("list"), ...values), 2_500, "rpush");
    equal(await c.lrange(t.id("list")), values, "lrange");
    equal(await c.sadd(t.id("set"), ...values), 2_500, "sadd");
    equal(await c.srem(t.id("set"), ...values.slice(1)), 2_499, "srem");
    equal(await c.scard(t.id("set")), 1, "scard");
  }),
  aCase("delete removes keys of any kind and counts those that were there", {}, async (t) => {
    const keys = await fillAll(t);
    const c = t.coordinator();
    equal(await c.delete(), 0, "no keys");
    equal(await c.delete(t.id("none")), 0, "an unknown key");
    equal(await c.delete(...Object.values(keys), keys.set, t.id("none")), 4, "four kinds, one key twice, one unknown");
    equal(await c.getInt(keys.number), 0, "the number");
    equal(await c.scard(keys.set), 0, "the set");
    equal(await c.lrange(keys.list), [], "the list");
    equal(await c.setIfAbsent(keys.flag, 60), true, "the flag");
  }),
  aCase("expire gives a key an end that later writes leave alone", { needs: ["clock"] }, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.expire(key, 600), false, "an unknown key");
    await c.incr(key);
    equal(await c.expire(key, 600), true, "a key");
    await t.advance(400_000);
    equal(await c.incr(key), 2, "a write within the TTL");
    await t.advance(201_000);
    equal(await c.getInt(key), 0, "after the TTL");
    equal(await c.incr(key), 1, "a write begins anew");
  }),
  aCase("expire works on every kind, and again", { needs: ["clock"] }, async (t) => {
    const keys = await fillAll(t);
    const c = t.coordinator();
    for (const key of Object.values(keys)) equal(await c.expire(key, 60), true, key);
    equal(await c.expire(keys.list, 6_000), true, "a later end");
    await t.advance(61_000);
    equal(await c.getInt(keys.number), 0, "the number");
    equal(await c.scard(keys.set), 0, "the set");
    equal(await c.setIfAbsent(keys.flag, 60), true, "the flag");
    equal(await c.lrange(keys.list), ["first", "second"], "the list has longer");
  }),
  aCase("a raw key lives for the default TTL after its last write", { needs: ["clock"] }, async (t) => {
    const c = t.coordinator();
    const ttlMs = c.defaultTtlSec * 1_000;
    const keys = await fillAll(t);
    if (ttlMs === 0) {
      await t.advance(YEAR_MS);
      equal(await c.getInt(keys.number), 5, "the number, after a year");
      equal(await c.lrange(keys.list), ["first", "second"], "the list, after a year");
      return;
    }
    await t.advance(ttlMs * 0.75);
    equal(await c.incr(keys.number), 6, "a write");
    await t.advance(ttlMs * 0.75);
    equal(await c.getInt(keys.number), 6, "the number that was written to");
    equal(await c.scard(keys.set), 0, "the set that was not");
    equal(await c.lrange(keys.list), [], "the list that was not");
    await t.advance(ttlMs * 0.75);
    equal(await c.getInt(keys.number), 0, "the number, a TTL after its last write");
  }),
  aCase("a key of another kind is a conflict, and stays as it is", {}, async (t) => {
    const keys = await fillAll(t);
    const c = t.coordinator();
    const methods: Record<string, (key: string) => Promise<unknown>> = {
      incr: (key) => c.incr(key),
      getInt: (key) => c.getInt(key),
      sadd: (key) => c.sadd(key, "z"),
      srem: (key) => c.srem(key, "x"),
      scard: (key) => c.scard(key),
      rpush: (key) => c.rpush(key, "z"),
      lrange: (key) => c.lrange(key),
    };
    const own = { number: ["incr", "getInt"], set: ["sadd", "srem", "scard"], list: ["rpush", "lrange"], flag: [] };
    for (const [kind, key] of Object.entries(keys)) {
      for (const [name, call] of Object.entries(methods)) {
        if ((own[kind as keyof typeof own] as string[]).includes(name)) continue;
        await rejects(() => call(key), "conflict", `${name} on a ${kind}`);
      }
    }
    equal(await c.getInt(keys.number), 5, "the number");
    equal(await c.scard(keys.set), 2, "the set");
    equal(await c.lrange(keys.list), ["first", "second"], "the list");
  }),
  aCase("keys stay apart whatever they hold", {}, async (t) => {
    const c = t.coordinator();
    // As suffix and as prefix, so that the odd part is at both ends.
    const keys = [...ODD_IDS.map((id) => `${t.id("k")}${id}`), ...ODD_IDS.map((id) => `${id}${t.id("k")}`)];
    for (const [i, key] of keys.entries()) equal(await c.incr(key, i + 1), i + 1, `key ${JSON.stringify(key)}`);
    for (const [i, key] of keys.entries()) equal(await c.getInt(key), i + 1, `key ${JSON.stringify(key)} later`);
    equal(await c.delete(...keys), keys.length, "delete of all");
  }),
  aCase("the oddest keys alone can be written, read and deleted", {}, async (t) => {
    const c = t.coordinator();
    for (const key of ODD_IDS) {
      await c.delete(key);
      equal(await c.incr(key, 7), 7, `incr of ${JSON.stringify(key)}`);
      equal(await c.getInt(key), 7, `getInt of ${JSON.stringify(key)}`);
      equal(await c.delete(key), 1, `delete of ${JSON.stringify(key)}`);
    }
  }),
  aCase("a set's members stay apart whatever they hold", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    equal(await c.sadd(key, ...ODD_IDS, ""), ODD_IDS.length + 1, "all are new");
    equal(await c.sadd(key, ...ODD_IDS), 0, "none is new");
    equal(await c.srem(key, "__proto__", "é"), 2, "two of them go");
    equal(await c.scard(key), ODD_IDS.length - 1, "the others stay");
  }),
  aCase("keys with one hash tag are keys of their own", {}, async (t) => {
    const c = t.coordinator();
    const [first, second] = [`{${t.id()}}a`, `{${t.id()}}b`];
    await c.incr(first, 1);
    await c.rpush(second, "x");
    equal(await c.delete(first), 1, "delete of one");
    equal(await c.getInt(first), 0, "it is gone");
    equal(await c.lrange(second), ["x"], "the other is not");
  }),
  aCase("a raw key and a group of one id do not meet", {}, async (t) => {
    const [c, id] = [t.coordinator(), t.id()];
    const tracker = t.tracker();
    await c.incr(id, 3);
    equal(await tracker.status(id), null, "no group");
    await tracker.register(id, 1);
    equal(await c.getInt(id), 3, "the number");
    equal(await c.delete(id), 1, "delete");
    equal((await tracker.status(id))?.state, "open", "the group");
  }),
  aCase("ids of 256 bytes are taken, longer ones, empty ones and half characters refused", {}, async (t) => {
    const c = t.coordinator();
    const longest = `${"é".repeat(100)}${t.id("k")}`.padEnd(156, "x");
    equal(new TextEncoder().encode(longest).length, 256, "the length in bytes");
    equal(await c.incr(longest, 2), 2, "256 bytes");
    equal(await c.getInt(longest), 2, "256 bytes, read");
    for (const key of [
      `${longest}x`,
      "x".repeat(257),
      "",
      "\ud800",
      "a\udc00b",
      "\udc00\ud800",
      "x".repeat(1_000_000),
    ]) {
      const error = await rejects(() => c.incr(key), "invalid_input", `a key of ${key.length} characters`, "key");
      isTrue(error.message.length < 200, "the message does not hold the key");
    }
    await rejects(() => c.sadd(t.id("set"), "fine", "\ud800"), "invalid_input", "half a character", "members[1]");
    await rejects(() => c.rpush(t.id("list"), "x".repeat(65_537)), "invalid_input", "a long value", "values[0]");
    equal(await c.scard(t.id("set")), 0, "nothing of the refused call was stored");
  }),
  aCase("a call that was aborted beforehand rejects with the signal's reason and does nothing", {}, async (t) => {
    const [c, id] = [t.coordinator(), t.id()];
    const reason = new Error("gone");
    let seen: unknown;
    try {
      const input = { op: "o", ttlMs: 60_000, delta: 1 };
      await c.run("kv.incr", id, input, { signal: AbortSignal.abort(reason) });
    } catch (error) {
      seen = error;
    }
    isTrue(seen === reason, "it rejects with signal.reason");
    equal(await c.getInt(id), 0, "nothing was written");
  }),
];
