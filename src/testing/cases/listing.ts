import type { Coordinator } from "../../coordinator.js";
import { CompletionTracker } from "../../trackers/completion.js";
import type { GroupList, ListedGroup, ListOptions } from "../../trackers/group/list.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, matches, present, rejects } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const NEEDS = { needs: ["index", "clock"] } as const;
/** An index object receives a change some seconds later. */
const LAG_MS = 6_000;
const TTL_SEC = 3_600;

/** Returns every item of this case, page by page. Other cases may share the index. */
async function all(t: Bench, on: Coordinator, options: ListOptions = {}): Promise<ListedGroup[]> {
  await t.advance(LAG_MS);
  return rest(t, on, options);
}

async function rest(t: Bench, on: Coordinator, options: ListOptions = {}): Promise<ListedGroup[]> {
  const tracker = new CompletionTracker(on);
  const items: ListedGroup[] = [];
  let { after } = options;
  do {
    const page: GroupList = await tracker.list({ ...options, after });
    items.push(...page.items);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return items.filter(({ groupId }) => groupId.endsWith(t.id("")));
}

const idsOf = (items: readonly ListedGroup[]): string[] => items.map(({ groupId }) => groupId);

/** Ids whose order differs between UTF-16 and UTF-8, or that look like the parts of a position. */
const IDS = ["a", "b", "b.", "1767.c", "\u{1f642}", "\uff5e", "é", "~", "'", "x:y", "{0}", "%"];

/** The index of groups and requests. */
export const listing: readonly ConformanceCase[] = [
  aCase("a list shows each group in its state: open ones oldest first, ended ones newest first", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: TTL_SEC });
    const ids = ["a", "b", "c", "d", "e"].map((label) => t.id(label));
    const [a = "", b = "", c = "", d = "", e = ""] = ids;
    for (const id of ids) {
      await tracker.register(id, ["x", "y"], { timeoutSec: id === e ? 60 : 600 });
      await t.advance(10);
    }
    equal(idsOf(await all(t, on)), ids, "open");
    await tracker.ack(b, ["x", "y"]);
    await t.advance(10);
    await tracker.cancel(c, "enough");
    await tracker.ack(d, "x");
    await t.advance(60_000);
    const open = await all(t, on);
    equal(idsOf(open), [a, d], "open after three ends");
    matches(open[1], { state: "open", total: 2, succeeded: 1, failed: 0, endedAtMs: null, delivery: null }, "an item");
    equal(open[1]?.lastAckAtMs, (await tracker.status(d))?.lastAckAtMs, "the last ack");
    equal(idsOf(await all(t, on, { state: "ended" })), [e, c, b], "ended");
    equal(idsOf(await all(t, on, { state: "completed" })), [b], "completed");
    equal(idsOf(await all(t, on, { state: "cancelled" })), [c], "cancelled");
    equal(idsOf(await all(t, on, { state: "timed_out" })), [e], "timed out");
    equal(idsOf(await all(t, on, { state: "failed" })), [], "failed");
  }),
  aCase("groups that stay are on one page each, whatever is written between the pages", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: TTL_SEC });
    const ids = Array.from({ length: 30 }, (_, i) => t.id(`g${String(i).padStart(2, "0")}`));
    await Promise.all(ids.map((id) => tracker.register(id, ["x"], { timeoutSec: 3_600 })));
    await t.advance(LAG_MS);
    const found: string[] = [];
    let [after, page]: [string | undefined, number] = [undefined, 0];
    do {
      const { items, next }: GroupList = await tracker.list({ after, limit: 4 });
      found.push(...idsOf(items));
      after = next ?? undefined;
      if (page === 0) {
        await Promise.all(ids.filter((_, i) => i % 3 === 0).map((id) => tracker.ack(id, "x")));
        await tracker.register(t.id("later"), ["x"], { timeoutSec: 3_600 });
        await t.advance(LAG_MS);
      }
      page++;
    } while (after !== undefined);
    const stayed = found.filter((id) => ids.includes(id) && ids.indexOf(id) % 3 !== 0);
    equal(stayed.sort(), ids.filter((_, i) => i % 3 !== 0).sort(), "the groups that stayed");
    equal(
      idsOf(await all(t, on, { state: "ended", limit: 4 })).sort(),
      ids.filter((_, i) => i % 3 === 0),
      "the ended",
    );
  }),
  aCase("pages of one line list every id once, in either order, also of one instant", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: TTL_SEC });
    const ids = IDS.map((label) => t.id(label));
    await Promise.all(ids.map((id) => tracker.register(id, ["x"], { timeoutSec: 3_600 })));
    equal(idsOf(await all(t, on, { limit: 1 })).sort(), [...ids].sort(), "open");
    await Promise.all(ids.map((id) => tracker.ack(id, "x")));
    equal(idsOf(await all(t, on, { state: "ended", limit: 1 })).sort(), [...ids].sort(), "ended");
    equal(idsOf(await rest(t, on)), [], "open after the end");
  }),
  aCase("stuck groups are open, and no task was acked for a while", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: TTL_SEC });
    const [silent, busy, young] = [t.id("silent"), t.id("busy"), t.id("young")];
    for (const id of [silent, busy]) await tracker.register(id, ["x", "y"], { timeoutSec: 3_600 });
    await t.advance(280_000);
    await tracker.ack(busy, "x");
    await tracker.register(young, ["x"], { timeoutSec: 3_600 });
    await t.advance(50_000);
    equal(idsOf(await all(t, on, { state: "stuck" })), [silent], "after five minutes");
    const after30Sec = idsOf(await rest(t, on, { state: "stuck", olderThanSec: "30s" }));
    equal(after30Sec.sort(), [silent, busy, young].sort(), "after 30 s");
    const registeredBefore = idsOf(await rest(t, on, { state: "open", olderThanSec: 200 }));
    equal(registeredBefore.sort(), [silent, busy].sort(), "registered 200 s ago");
    equal(idsOf(await rest(t, on, { state: "stuck", olderThanSec: "1h" })), [], "after an hour");
  }),
  aCase("a removed group and an expired one are not listed, and a restarted one is open again", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: 100 });
    const [gone, expired, again] = [t.id("gone"), t.id("expired"), t.id("again")];
    for (const id of [gone, expired, again]) await tracker.register(id, 0, { timeoutSec: 60 });
    equal(idsOf(await all(t, on, { state: "ended" })).sort(), [again, expired, gone], "ended");
    await tracker.remove(gone);
    const { generation } = await tracker.register(again, ["x"], { restart: true, ttlSec: 600, timeoutSec: 600 });
    equal(idsOf(await all(t, on, { state: "ended" })), [expired], "ended after the removal");
    await t.advance(200_000);
    equal(idsOf(await all(t, on, { state: "ended" })), [], "ended after the TTL");
    const [item, ...others] = await rest(t, on);
    matches(item, { groupId: again, generation, state: "open" }, "the restarted group");
    equal(others, [], "nothing else");
  }),
  aCase("a group that ended by silence is listed as timed out", NEEDS, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: 100 });
    const id = t.id();
    await tracker.register(id, ["x"], { timeoutSec: 0 });
    equal(idsOf(await all(t, on)), [id], "before the silent end");
    await t.advance(150_000);
    // The group has no timer: a reader ends it.
    equal((await tracker.status(id))?.state, "timed_out", "the state");
    equal(idsOf(await all(t, on)), [], "open");
    equal(idsOf(await rest(t, on, { state: "timed_out" })), [id], "timed out");
  }),
  aCase("lists by delivery show what is owed", { needs: ["index", "clock", "handlers"] }, async (t) => {
    const on = t.coordinator();
    const tracker = t.tracker({ on, ttlSec: TTL_SEC });
    const [dead, unhandled, pending, made] = [t.id("dead"), t.id("unhandled"), t.id("pending"), t.id("made")];
    const parent = { groupId: t.id("parent"), taskId: "no such task" };
    await tracker.register(parent.groupId, ["x"], { timeoutSec: 3_600 });
    await tracker.register(dead, 0, { parent });
    await tracker.register(unhandled, 0, { onEnd: { handler: "nobody", payload: null } });
    await tracker.register(pending, 0, { onEnd: { handler: "flaky", payload: { failures: 100 } } });
    await tracker.register(made, 0, { onEnd: { handler: "record", payload: null } });
    await t.untilDelivery(dead, "dead");
    await t.untilDelivery(made, "delivered");
    equal(idsOf(await all(t, on, { delivery: "dead" })), [dead], "dead");
    equal(idsOf(await rest(t, on, { delivery: "unhandled" })), [unhandled], "unhandled");
    equal(idsOf(await rest(t, on, { delivery: "pending" })), [pending], "pending");
    equal(idsOf(await rest(t, on, { state: "failed", delivery: "dead" })), [], "failed and dead");
    const ended = await rest(t, on, { state: "completed" });
    const shown = Object.fromEntries(ended.map(({ groupId, delivery }) => [groupId, delivery]));
    equal(shown, { [dead]: "dead", [unhandled]: "unhandled", [pending]: "pending", [made]: null }, "the deliveries");
  }),
  aCase("a list of requests shows their states, and no groups", NEEDS, async (t) => {
    const on = t.coordinator();
    const requests = new RequestWaitTracker(on, { stages: ["parse"], ttlSec: TTL_SEC });
    const groups = t.tracker({ on, ttlSec: TTL_SEC });
    const [id, done, ended] = [t.id("request"), t.id("done"), t.id("ended")];
    await groups.register(id, ["x"]);
    for (const one of [id, done, ended]) await requests.register(one);
    await requests.add(id, "parse", "x");
    await requests.add(done, "parse", "x");
    await requests.ack(done, "parse", "x");
    await requests.seal(ended);
    await t.advance(400_000);
    const own = async (state: "open" | "stuck" | "ended") => {
      const { items } = await requests.list({ state });
      return items.filter(({ requestId }) => requestId.endsWith(t.id("")));
    };
    const states = (await own("open")).map(({ requestId, state, final }) => [requestId, state, final]);
    equal(
      states.sort(),
      [
        [done, "complete", false],
        [id, "pending", false],
      ],
      "open",
    );
    equal(
      (await own("stuck")).map(({ requestId }) => requestId),
      [id],
      "stuck",
    );
    const [last] = await own("ended");
    matches(present(last, "an ended request"), { requestId: ended, state: "complete", final: true }, "ended");
    equal(idsOf(await all(t, on)), [id], "groups");
  }),
  aCase("list refuses options that are unknown or out of range", { needs: ["index"] }, async (t) => {
    const tracker = t.bareTracker();
    await rejects(() => tracker.list({ limit: 0 }), "invalid_input", "no lines", "limit");
    await rejects(() => tracker.list({ limit: 101 }), "invalid_input", "too many lines", "limit");
    await rejects(() => tracker.list({ state: "gone" as never }), "invalid_input", "a state", "state");
    await rejects(() => tracker.list({ delivery: "none" as never }), "invalid_input", "a delivery", "delivery");
    await rejects(() => tracker.list({ olderThanSec: -1 }), "invalid_input", "a negative age", "olderThanSec");
    await rejects(() => tracker.list({ after: "5" }), "invalid_input", "a position", "after");
    await rejects(() => tracker.list({ states: "open" } as never), "invalid_input", "a name", "states");
  }),
];
