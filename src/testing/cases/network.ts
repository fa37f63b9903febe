import { equal, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const verdicts = (results: readonly { readonly verdict: string }[]): string[] => results.map(({ verdict }) => verdict);

/** The group's life from its early acks to its end, as told by every reply on the way. */
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
  aCase("what may not be resent says that it may have been applied", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    const error = await rejects(() => losingReplies(c).incr(key), "backend_unavailable", "incr");
    equal(error.applied, "unknown", "applied");
    equal(await c.getInt(key), 1, "it was");
  }),
];
