import { CoalesceTracker } from "../../trackers/coalesce.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const TTL_SEC = 600;
const CLOCKED = { needs: ["clock"] } as const;
const STAGES = ["parse"] as const;

/** Reads once with a wait of 0 ms, and checks that the group or request is `state`. */
async function looks(
  t: Bench,
  state: "open" | "pending",
  look: (options: { readonly timeoutMs: 0 }) => Promise<{ readonly state: string } | null>,
): Promise<void> {
  const work = look({ timeoutMs: 0 });
  work.catch(() => {});
  await t.advance(0);
  equal((await work)?.state, state, "a look that waits");
}

/** How long records live, and how open ones end. */
export const lifetimes: readonly ConformanceCase[] = [
  aCase(
    "an open group without a deadline ends as timed out, with its callback, when nothing touches it for its TTL",
    { row: 57, needs: ["clock", "handlers"] },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: TTL_SEC, timeoutSec: 0 }), t.id()];
      const onEnd = { handler: "record", payload: "silence" } as const;
      equal((await tracker.register(id, ["a", "b", "c"], { onEnd })).deadlineAtMs, null, "no deadline");
      await t.advance(599_000);
      equal((await tracker.ack(id, "a")).verdict, "accepted", "an ack in its last second");
      await t.advance(598_000);
      equal((await tracker.status(id))?.state, "open", "within the TTL after the ack");
      await t.advance(3_000);
      const [first, ...more] = await t.untilDelivered(id, 1, { stepMs: 10_000 });
      matches(first?.event, { type: "group.timed_out", payload: "silence" }, "the delivery");
      equal(more.length, 0, "further deliveries");
      matches(await tracker.ack(id, "b"), { verdict: "late", state: "timed_out" }, "an ack after the end");
      matches(await tracker.status(id), { state: "timed_out", succeeded: 1, remaining: 2 }, "the group");
    },
  ),
  aCase(
    "the end of a group that nothing has touched is read for a TTL more, and then the id is free",
    { row: 57, ...CLOCKED },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: TTL_SEC, timeoutSec: 0 }), t.id()];
      await tracker.register(id, 2);
      await t.advance(1_190_000);
      equal((await tracker.wait(id, { timeoutMs: 5_000 }))?.state, "timed_out", "what the waiter receives");
      await t.advance(590_000);
      equal((await tracker.register(id, 2)).state, "timed_out", "registered again");
      await t.advance(611_000);
      equal(await tracker.status(id), null, "after the TTL");
      equal((await tracker.register(id, 7)).total, 7, "the id is free");
    },
  ),
  aCase(
    "callers that wait for a group without a deadline keep it open, and no others",
    { row: 57, ...CLOCKED },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: TTL_SEC, timeoutSec: 0 }), t.id()];
      const { generation } = await tracker.register(id, ["a", "b"]);
      for (let i = 0; i < 4; i++) {
        await t.advance(400_000);
        await looks(t, "open", (options) => t.bareTracker().wait(id, options));
      }
      equal((await tracker.ack(id, "a")).verdict, "accepted", "an ack long after the TTL");
      await t.advance(400_000);
      equal((await tracker.ack(id, "a")).verdict, "duplicate", "a duplicate");
      equal((await tracker.status(id))?.state, "open", "a status");
      // The watch of a plain function runs in the background, which keeps no group open.
      const watched = t.coordinator().watch("completion.wait", id, { generation, background: true }, { timeoutMs: 0 });
      watched.catch(() => {});
      await t.advance(201_000);
      await watched.catch(() => {});
      equal((await tracker.status(id))?.state, "timed_out", "after the TTL of the last ack");
    },
  ),
  aCase(
    "callers that follow a request's progress keep it, as those do that wait",
    { row: 55, ...CLOCKED },
    async (t) => {
      const requests = new RequestWaitTracker(t.coordinator(), { stages: STAGES, ttlSec: TTL_SEC });
      const followed = t.id("followed");
      const waited = t.id("waited");
      for (const id of [followed, waited]) {
        await requests.register(id);
        await requests.add(id, "parse", "a");
      }
      const { version } = present(await requests.status(followed), "the request");
      for (let i = 0; i < 4; i++) {
        await t.advance(400_000);
        const follow = requests.newer(followed, version, { timeoutMs: 0 });
        follow.catch(() => {});
        await t.advance(0);
        await rejects(() => follow, "wait_timeout", "a look for news");
        await looks(t, "pending", (options) => requests.wait(waited, options));
      }
      for (const id of [followed, waited]) {
        equal(await requests.ack(id, "parse", "a"), { verdict: "accepted", state: "complete" }, "the ack");
      }
      const alone = t.id("alone");
      await requests.register(alone);
      await t.advance(400_000);
      equal((await requests.status(alone))?.state, "pending", "a status");
      await t.advance(201_000);
      equal((await requests.status(alone))?.state, "timed_out", "a request that no caller follows");
    },
  ),
  aCase(
    "versions that run ahead of the clock grow on after their key was forgotten",
    { row: 63, ...CLOCKED },
    async (t) => {
      const ttlSec = 0.2;
      const versions = new CoalesceTracker(t.coordinator(), { ttlSec });
      const key = t.id("key");
      const issued = await Promise.all(Array.from({ length: 2_000 }, () => versions.next(key)));
      equal(new Set(issued).size, issued.length, "no version comes twice");
      const newest = Math.max(...issued);
      await t.advance(ttlSec * 1_000 + 1);
      isTrue((await versions.next(key)) > newest, "a version after the TTL is above all before it");
    },
  ),
  aCase("early acks that count no more take no room", { row: 64, ...CLOCKED }, async (t) => {
    const [tracker, id] = [t.tracker({ earlyTtlSec: 300 }), t.id()];
    const tasks = (label: string, count: number) =>
      Array.from({ length: count }, (_, i) => ({ id: `${label}-${i}`, result: i }));
    await tracker.ack(id, tasks("old", 1_000));
    equal((await tracker.ack(id, { id: "more", result: 0 })).verdict, "unknown", "one more with a result");
    await t.advance(250_000);
    // This ack keeps the record alive, together with the expired early acks.
    equal((await tracker.ack(id, "keeper")).verdict, "early", "one without");
    await t.advance(51_000);
    const verdicts = new Set((await tracker.ack(id, tasks("new", 1_000))).map(({ verdict }) => verdict));
    equal([...verdicts], ["early"], "a thousand others");
    equal((await tracker.ack(id, { id: "more", result: 0 })).verdict, "unknown", "one more again");
    matches(await tracker.register(id, 1_500), { succeeded: 1_001, remaining: 499 }, "what counts");
    const first = present(await tracker.results(id, { limit: 2 }), "the results");
    equal(
      first.items.map(({ taskId }) => taskId),
      ["new-0", "new-1"],
      "in the order in which they came",
    );
  }),
];
