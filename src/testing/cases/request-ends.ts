import { equal, matches, present } from "../assert.js";
import { losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { held, NOTHING, pendingRequest, requestTracker } from "./requests.js";

/** Requests that are removed, cancelled or abandoned, and ids that are used again. */
export const requestEnds: readonly ConformanceCase[] = [
  aCase("a second waiter gets the same answer after the first has removed the request", { row: 17 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    await requests.fail(id, "parse", "a", "broken");
    const { stages } = present(await requests.wait(id, { timeoutMs: 5_000 }), "the first waiter");
    equal(await requests.remove(id), true, "the removal");
    const end = { state: "complete", final: true, reason: null, stages };
    matches(await requestTracker(t).wait(id, { timeoutMs: 5_000 }), end, "the second waiter");
    matches(await requestTracker(t).newer(id, "", { timeoutMs: 5_000 }), end, "a caller that follows its progress");
    equal(await requests.status(id), null, "the status");
    equal(await requests.remove(id), false, "another removal");
    matches(
      await requests.register(id),
      { state: "pending", stages: { parse: NOTHING, embed: NOTHING } },
      "used again",
    );
  }),
  aCase("calls that come late from an earlier use of the id change nothing in the next", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, []);
    const on = t.coordinator();
    const added = { op: crypto.randomUUID(), lists: [JSON.stringify(["parse", "a"])] };
    const tasks = [{ stage: "parse", id: "a", processed: 1 }];
    const acked = { op: crypto.randomUUID(), tasks, earlyTtlMs: 300_000 };
    const removed = { op: crypto.randomUUID() };
    const calls = [
      () => on.run("request.add", id, added),
      () => on.run("request.ack", id, acked),
      () => on.run("request.remove", id, removed),
    ];
    for (const call of calls) await call();
    await requests.register(id);
    await requests.add(id, "parse", "b");
    for (const call of calls) await call();
    matches(await requests.status(id), { state: "pending", open: 1 }, "the next use");
    equal((await requests.ack(id, "parse", "b")).state, "complete", "its own task");
    equal((await requests.status(id))?.stages.parse.processed, 1, "its own counts");
  }),
  aCase("waiters of a pending request that is removed receive its cancellation", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const wait = held(requestTracker(t).wait(id, { timeoutMs: 20_000 }));
    await settle();
    equal(await requests.remove(id), true, "the removal");
    matches(await wait, { state: "cancelled", reason: "removed", final: true }, "the waiter");
    equal(await requests.status(id), null, "the status");
  }),
  aCase("acks that race the removal bring nothing back", { row: 21 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b", "c"]);
    const acks = ["a", "b", "c"].map((task) => requestTracker(t).ack(id, "parse", task));
    const [found] = await Promise.all([requests.remove(id), ...acks]);
    equal(found, true, "the removal");
    equal((await requests.ack(id, "parse", "a")).verdict, "unknown", "an ack afterwards");
    equal((await requests.count(id, "parse", { error: "no" })).verdict, "unknown", "an error afterwards");
    equal(await requests.status(id), null, "the status");
  }),
  aCase("a cancelled request has ended with its reason, and takes nothing more", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    await requests.ack(id, "parse", "a");
    const end = { state: "cancelled", final: true, reason: "enough", open: 1 };
    matches(await requests.cancel(id, "enough"), end, "the call");
    equal(await requests.ack(id, "parse", "b"), { verdict: "cancelled", state: "cancelled" }, "an ack");
    equal((await requests.count(id, "parse", { processed: 1 })).verdict, "cancelled", "a count");
    matches(await requests.add(id, "parse", "c"), { outcome: "late", added: [] }, "a task");
    matches(await requests.cancel(id, "again"), end, "another cancel");
    matches(await requests.wait(id, { timeoutMs: 0 }), end, "a waiter");
  }),
  aCase("row 74: a request that its caller abandons is cancelled at once, with the reason", { row: 74 }, async (t) => {
    const [requests, id, caller] = [requestTracker(t), t.id("request"), crypto.randomUUID()];
    const { generation } = await requests.register(id, { caller });
    await requests.add(id, "parse", ["a", "b"]);
    await requests.ack(id, "parse", "a");
    const wait = held(requestTracker(t).wait(id, { timeoutMs: 20_000 }));
    await settle();
    const failure = { caller, message: "the handler failed" };
    const lossy = requestTracker(t, { on: losingReplies(t.coordinator()) });
    const abandoned = await lossy.abandon(id, failure);
    const parse = { ...NOTHING, total: 2, open: 1, processed: 1 };
    const end = { state: "cancelled", final: true, reason: "the handler failed", stages: { parse, embed: NOTHING } };
    equal(abandoned.outcome, "cancelled", "a call whose reply was lost");
    matches(abandoned.status, end, "its status");
    matches(await wait, end, "the waiter");
    matches(await requests.status(id), end, "the status");
    matches(await requests.newer(id, "", { timeoutMs: 5_000 }), end, "the progress");
    equal((await requests.ack(id, "parse", "b")).verdict, "cancelled", "a late ack");
    equal((await requests.add(id, "parse", "c")).outcome, "late", "a late task");
    const again = await requests.register(id);
    matches(again, { state: "pending", stages: { parse: NOTHING, embed: NOTHING } }, "the id, used again");
    equal(again.generation > generation, true, "it is another generation");
    equal((await requests.add(id, "parse", ["a", "b"])).added, ["a", "b"], "its tasks");
    equal((await requests.ack(id, "parse", "a")).state, "pending", "the first of them");
    equal((await requests.ack(id, "parse", "b")).state, "complete", "the second");
  }),
  aCase("row 74: a request goes on while another caller has it, or once it is sealed", { row: 74 }, async (t) => {
    const { requests, id } = await pendingRequest(t, []);
    const message = "the handler failed";
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    for (const caller of [first, second]) await requests.register(id, { caller });
    await requests.add(id, "parse", "a");
    for (const caller of [first, second, first]) {
      const { outcome, status } = await requests.abandon(id, { message, caller });
      equal([outcome, status?.state], ["joined", "pending"], "another caller has it");
    }
    const shared = t.id("another request");
    for (const caller of [first, second]) await requests.register(shared, { caller });
    await requests.add(shared, "parse", "a");
    await requests.seal(shared);
    for (const caller of [first, second]) {
      equal((await requests.abandon(shared, { message, caller })).outcome, "late", "it is sealed");
    }
    equal((await requests.ack(shared, "parse", "a")).state, "complete", "its task");
    matches((await requests.status(shared))?.stages.parse, { ...NOTHING, total: 1, processed: 1 }, "its counts");
    equal((await requests.abandon(t.id("none"), { message, caller: first })).outcome, "unknown", "an unknown one");
  }),
  aCase("a request with targets and a deadline delivers its end", { needs: ["clock", "handlers"] }, async (t) => {
    const [requests, id] = [requestTracker(t), t.id("request")];
    const group = t.id();
    const task = { groupId: group, taskId: "request" };
    await t.tracker().register(group, ["request"], { onEnd: { handler: "record", payload: "parent" } });
    await requests.register(id, { timeoutSec: 60, parent: task });
    await requests.add(id, "parse", "a");
    await t.advance(61_000);
    const [first] = await t.untilDelivered(group, 1, { stepMs: 10_000 });
    const message = `${id} timed_out: deadline`;
    matches(first?.event.status, { failed: 1, errors: [{ taskId: "request", stage: null, message }] }, "the parent");
    matches(await requests.status(id), { state: "timed_out", reason: "deadline", final: true }, "the request");
  }),
];
