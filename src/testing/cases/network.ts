import { equal, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const verdicts = (results: readonly { readonly verdict: string }[]): string[] => results.map(({ verdict }) => verdict);

/** Runs a group from its early acks to its end, and returns every result on the way. */
async function lifeOf(t: Bench, on: ReturnType<Bench["coordinator"]>, id: string): Promise<unknown[]> {
  const tracker = t.tracker({ on });
  const told: unknown[] = [];
  told.push(await tracker.ack(id, { id: "a", result: 1 }));
  told.push((await tracker.register(id, ["a", "b", "c"], { metadata: { n: 1 } })).remaining);
  told.push((await tracker.ack(id, "a")).verdict);
  told.push(verdicts(await tracker.ack(id, [{ id: "b", error: "broken" }, "x"])));
  const last = await tracker.ack(id, { id: "c", result: [2] });
  told.push([last.verdict, last.ended, last.remaining, last.state]);
  told.push((await tracker.results(id))?.items);
  told.push((await tracker.cancel(id, "too late"))?.state);
  const status = present(await tracker.status(id), "the group");
  told.push([status.succeeded, status.failed, status.errors, status.state, status.metadata]);
  return told;
}

export const network: readonly ConformanceCase[] = [
  aCase("a group goes the same way on a network that loses every reply", {}, async (t) => {
    const usual = await lifeOf(t, t.coordinator(), t.id("usual"));
    equal(await lifeOf(t, losingReplies(t.coordinator()), t.id("lossy")), usual, "what was told");
  }),
  aCase("a group goes the same way on a network that delivers every call twice", {}, async (t) => {
    const usual = await lifeOf(t, t.coordinator(), t.id("usual"));
    equal(await lifeOf(t, duplicating(t.coordinator()), t.id("twice")), usual, "what was told");
  }),
  aCase("a raw key's write counts once on a network that delivers every call twice", {}, async (t) => {
    const c = duplicating(t.coordinator());
    equal(await c.incr(t.id("number"), 2), 2, "incr");
    equal(await c.incr(t.id("number"), 3), 5, "incr again");
    equal(await c.sadd(t.id("set"), "a", "b"), 2, "sadd");
    equal(await c.srem(t.id("set"), "a"), 1, "srem");
    equal(await c.rpush(t.id("list"), "x"), 1, "rpush");
    equal(await c.rpush(t.id("list"), "x"), 2, "rpush again");
    equal(await c.setIfAbsent(t.id("flag"), 60), true, "setIfAbsent");
    equal(await c.lrange(t.id("list")), ["x", "x"], "the list");
    equal(await c.getInt(t.id("number")), 5, "the number");
    equal(await c.scard(t.id("set")), 1, "the set");
  }),
  aCase("a raw key's write counts once when its reply is lost", {}, async (t) => {
    const lossy = losingReplies(t.coordinator());
    const key = t.id("key");
    equal(await lossy.incr(key, 2), 2, "incr");
    equal(await lossy.delete(key), 1, "delete");
    equal(await lossy.getInt(key), 0, "the number");
  }),
  aCase("a late copy of a raw key's write changes nothing, though the key was deleted meanwhile", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    const write = (op: string) => ({ op, ttlMs: 60_000 });
    const incr = () => c.run("kv.incr", key, { ...write("incr"), delta: 2 });
    const remove = () => c.run("kv.delete", key, { op: "delete" });
    equal(await incr(), { result: "2" }, "incr");
    equal(await remove(), { found: true }, "delete");
    equal(await incr(), { result: "2" }, "the copy of incr");
    equal(
      [await c.getInt(key), await c.scard(key), await c.lrange(key), await c.expire(key, 60)],
      [0, 0, [], false],
      "none",
    );
    const add = () => c.run("kv.sadd", key, { ...write("sadd"), members: ["a"] });
    const take = () => c.run("kv.srem", key, { ...write("srem"), members: ["a"] });
    equal(await add(), { result: "1" }, "another kind");
    equal(await remove(), { found: true }, "the copy of delete");
    equal(await c.scard(key), 1, "the set");
    equal(await take(), { result: "1" }, "srem");
    equal([await add(), await incr()], [{ result: "1" }, { result: "2" }], "the copies of sadd and incr");
    equal([await c.setIfAbsent(key, 60), await take()], [true, { result: "1" }], "a flag, and the copy of srem");
    equal(await c.delete(key), 1, "delete of the flag");
    equal(await take(), { result: "1" }, "the copy of srem");
    equal(await c.rpush(key, "x"), 1, "a list");
  }),
  aCase("a deleted key is forgotten after a minute", { needs: ["clock"] }, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    const incr = () => c.run("kv.incr", key, { op: "incr", ttlMs: 600_000, delta: 1 });
    await incr();
    equal(await c.delete(key), 1, "delete");
    await t.advance(61_000);
    equal(await incr(), { result: "1" }, "the copy of incr counts");
    equal(await c.getInt(key), 1, "the number");
  }),
  aCase("a write that may not be resent says that it may have been applied", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    const input = { op: "incr", ttlMs: 60_000, delta: 1 };
    const incr = () => losingReplies(c).run("kv.incr", key, input, { resend: false });
    const error = await rejects(incr, "backend_unavailable", "incr");
    equal(error.applied, "unknown", "applied");
    equal(await c.getInt(key), 1, "it was");
  }),
];
