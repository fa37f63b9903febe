import type { Coordinator } from "../../coordinator.js";
import { equal, isTrue, matches, present } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { held, NOTHING, requestTracker } from "./requests.js";

/** A request with one open task, the target that settles this task, and a wait for the request. */
async function heldUp(t: Bench, label = "request") {
  const [requests, requestId] = [requestTracker(t), t.id(label)];
  await requests.register(requestId);
  await requests.add(requestId, "embed", "chunks");
  const task = { requestId, stage: "embed", taskId: "chunks" } as const;
  return { requests, requestId, task, wait: () => held(requests.wait(requestId, { timeoutMs: 20_000 })) };
}

const RECORD = { handler: "record", payload: "parent" } as const;

/** Returns the group's status once it has ended by the delivery of another group. */
async function untilEnded(t: Bench, id: string) {
  for (let step = 0; ; step++) {
    await t.advance(0);
    const status = present(await t.bareTracker().status(id), "the group");
    if (status.state !== "open" || step === 200) return status;
    await new Promise((resolve) => setTimeout(resolve, step < 20 ? 0 : 25));
  }
}

/** A parent with the tasks `a` and `b`, whose children are `left` and `right`. */
async function family(t: Bench, on: Coordinator = t.coordinator()) {
  const tracker = t.bareTracker(on);
  const [parent, left, right] = [t.id("parent"), t.id("left"), t.id("right")];
  const tasks = [
    { id: "a", group: left },
    { id: "b", group: right },
  ];
  const { generation } = await tracker.register(parent, tasks, { ttlSec: 604_800 });
  const child = (taskId: string) => ({ parent: { groupId: parent, taskId }, ttlSec: 604_800 });
  return { tracker, parent, left, right, tasks, generation, child };
}

/** Groups that settle a task of another group or request, and groups that end with their parent. */
export const nesting: readonly ConformanceCase[] = [
  aCase("a group that succeeds completes the request that waits for it, without a handler", {}, async (t) => {
    const [{ task, wait }, id] = [await heldUp(t), t.id()];
    const status = wait();
    await t.bareTracker().register(id, ["a", "b"], { onEnd: { task } });
    await t.bareTracker().ack(id, ["a", "b"]);
    await t.untilDelivery(id, "delivered");
    equal((await status)?.stages.embed, { ...NOTHING, total: 1, processed: 1 }, "the counts");
  }),
  aCase("a group with failures fails the task of the request, and says with what", {}, async (t) => {
    const [{ task, wait }, id] = [await heldUp(t), t.id()];
    const status = wait();
    await t.tracker().register(id, ["a", "b"], { onComplete: { task } });
    await t.tracker().ack(id, ["a", { id: "b", error: "the model is gone" }]);
    await t.untilDelivery(id, "delivered");
    const message = `${id} completed: 1 of 2 tasks failed: the model is gone`;
    const errors = [{ taskId: "chunks", message }];
    matches((await status)?.stages.embed, { processed: 0, errorCount: 1, errors }, "the counts");
  }),
  aCase("a group that times out or is cancelled fails the task", { needs: ["clock"] }, async (t) => {
    const [timed, late] = [await heldUp(t, "timed"), t.id("late")];
    await t.bareTracker().register(late, 1, { onTimeout: { task: timed.task }, timeoutSec: 60 });
    await t.advance(61_000);
    await t.untilDelivery(late, "delivered");
    const timedOut = [{ taskId: "chunks", message: `${late} timed_out: deadline` }];
    equal((await timed.wait())?.stages.embed.errors, timedOut, "timed out");
    const [stopped, id] = [await heldUp(t, "stopped"), t.id()];
    await t.bareTracker().register(id, 1, { onEnd: { task: stopped.task } });
    await t.bareTracker().cancel(id, "enough");
    await t.untilDelivery(id, "delivered");
    const cancelled = [{ taskId: "chunks", message: `${id} cancelled: enough` }];
    equal((await stopped.wait())?.stages.embed.errors, cancelled, "cancelled");
  }),
  aCase("a group that completed under its policy succeeds for its parent, whatever has failed", {}, async (t) => {
    const [{ task, wait }, id] = [await heldUp(t), t.id()];
    await t.bareTracker().register(id, ["a", "b"], { complete: { minSuccessful: 1 }, parent: task });
    await t.bareTracker().ack(id, [{ id: "b", error: "broken" }, "a"]);
    await t.untilDelivery(id, "delivered");
    matches((await wait())?.stages.embed, { processed: 1, errorCount: 0 }, "the counts");
  }),
  aCase("a status names the task that waits for it, open and ended", {}, async (t) => {
    const [tracker, requests] = [t.bareTracker(), requestTracker(t)];
    const [parent, id, requestId] = [t.id("parent"), t.id(), t.id("request")];
    const { generation } = await tracker.register(parent, ["a"]);
    equal((await tracker.status(parent))?.parent, null, "of a group that no task waits for");
    await tracker.register(id, ["x"], { parent: { groupId: parent, taskId: "a", generation } });
    const named = { groupId: parent, requestId: null, stage: null, taskId: "a", generation };
    equal((await tracker.status(id))?.parent, named, "of an open group");
    await tracker.ack(id, "x");
    equal((await t.untilDelivery(id, "delivered")).parent, named, "of an ended group");
    await tracker.register(id, ["x"], { onEnd: { task: { groupId: parent, taskId: "a" } }, restart: true });
    equal((await tracker.status(id))?.parent, null, "of a restart without a parent, whose target is a task");
    const { task, requestId: outer } = await heldUp(t, "outer");
    await requests.register(requestId, { parent: task });
    const { stage, taskId } = task;
    const ofRequest = { groupId: null, requestId: outer, stage, taskId, generation: null };
    equal((await requests.status(requestId))?.parent, ofRequest, "of a request");
  }),
  aCase("a delivery that is made again settles the task once", {}, async (t) => {
    const [{ task, requests, requestId }, id] = [await heldUp(t), t.id()];
    await t.bareTracker().register(id, ["a"], { onEnd: { task } });
    await t.bareTracker().ack(id, "a");
    await t.untilDelivery(id, "delivered");
    await t.bareTracker().redeliver(id);
    await t.untilDelivery(id, "delivered");
    matches((await requests.status(requestId))?.stages.embed, { processed: 1 }, "the counts");
  }),
  aCase(
    "children settle their parent's tasks, and the parent's own target hears of the end",
    { needs: ["handlers"] },
    async (t) => {
      const tracker = t.tracker();
      const [parent, good, bad] = [t.id("parent"), t.id("good"), t.id("bad")];
      await tracker.register(parent, ["good", "bad"], { onEnd: RECORD });
      await tracker.register(good, ["x"], { parent: { groupId: parent, taskId: "good" } });
      await tracker.register(bad, ["x"], { parent: { groupId: parent, taskId: "bad" } });
      await tracker.ack(good, "x");
      await tracker.fail(bad, "x", "broken");
      const [first] = await t.untilDelivered(parent, 1);
      const message = `${bad} completed: 1 of 1 tasks failed: broken`;
      const errors = [{ taskId: "bad", stage: null, message }];
      matches(first?.event.status, { state: "completed", succeeded: 1, failed: 1, errors }, "the parent's end");
    },
  ),
  aCase("a parent that is registered later than its child's end gets it", { needs: ["clock"] }, async (t) => {
    const tracker = t.bareTracker();
    const [parent, child] = [t.id("parent"), t.id("child")];
    await tracker.register(child, ["x"], { parent: { groupId: parent, taskId: "a" }, ttlSec: 604_800 });
    await tracker.ack(child, "x");
    await t.advance(0);
    const waiting = await t.untilDelivery(child, "pending");
    isTrue(waiting.delivery.state === "pending", "the delivery is retried");
    await tracker.register(parent, ["a"]);
    const { delivery } = await t.untilDelivery(child, "delivered", { stepMs: 901_000 });
    isTrue(delivery.attempts >= 1, "attempts");
    matches(await tracker.status(parent), { succeeded: 1, remaining: 0 }, "the parent");
  }),
  aCase("a parent that never comes leaves a dead letter that says so", { needs: ["clock"] }, async (t) => {
    const [tracker, child] = [t.bareTracker(), t.id("child")];
    const parent = { groupId: t.id("nowhere"), taskId: "a" };
    await tracker.register(child, ["x"], { parent, ttlSec: 604_800 });
    await tracker.ack(child, "x");
    const { delivery } = await t.untilDelivery(child, "dead", { stepMs: 901_000 });
    matches(delivery, { attempts: 12, lastError: "the parent is not registered" }, "the delivery");
  }),
  aCase("a task that a closed parent does not have leaves a dead letter at once", {}, async (t) => {
    const tracker = t.bareTracker();
    const [parent, child] = [t.id("parent"), t.id("child")];
    await tracker.register(parent, ["a"]);
    await tracker.register(child, ["x"], { onEnd: { task: { groupId: parent, taskId: "other" } } });
    await tracker.ack(child, "x");
    const { delivery } = await t.untilDelivery(child, "dead");
    matches(delivery, { attempts: 1, lastError: "the parent has no such task" }, "the delivery");
    matches(await tracker.status(parent), { state: "open", remaining: 1 }, "the parent goes on");
  }),
  aCase("a parent that has ended, or has the task's settlement already, takes the delivery", {}, async (t) => {
    const tracker = t.bareTracker();
    const [ended, settled] = [t.id("ended"), t.id("settled")];
    for (const parent of [ended, settled]) await tracker.register(parent, ["a", "b"]);
    await tracker.cancel(ended, "enough");
    await tracker.fail(settled, "a", "by hand");
    for (const parent of [ended, settled]) {
      const child = t.id(`child of ${parent}`);
      await tracker.register(child, ["x"], { onEnd: { task: { groupId: parent, taskId: "a" } } });
      await tracker.ack(child, "x");
      matches((await t.untilDelivery(child, "delivered")).delivery, { attempts: 1, lastError: null }, "the delivery");
    }
    matches(await tracker.status(settled), { failed: 1, succeeded: 0 }, "the first settlement stays");
  }),
  aCase("another generation of the parent than the named one is left unchanged", {}, async (t) => {
    const tracker = t.bareTracker();
    const [parent, child] = [t.id("parent"), t.id("child")];
    const { generation } = await tracker.register(parent, ["a"]);
    const task = { groupId: parent, taskId: "a", generation };
    await tracker.register(child, ["x"], { parent: task });
    await tracker.register(parent, ["a"], { restart: { from: generation } });
    await tracker.ack(child, "x");
    matches((await t.untilDelivery(child, "delivered")).delivery, { attempts: 1, lastError: null }, "the delivery");
    matches(await tracker.status(parent), { state: "open", remaining: 1 }, "the parent");
  }),
  aCase("the end of a parent cancels the children of its open tasks, and no others", {}, async (t) => {
    const { tracker, parent, left, right, child } = await family(t);
    const [stranger, settled] = [t.id("stranger"), right];
    await tracker.register(left, ["x"], child("a"));
    await tracker.register(settled, ["x"], child("b"));
    await tracker.register(stranger, ["x"]);
    await tracker.ack(parent, "b");
    await tracker.cancel(parent, "enough");
    const end = await untilEnded(t, left);
    matches(end, { state: "cancelled", reason: `its parent ${parent} has ended` }, "the child of the open task");
    equal(end.delivery.state, "none", "what it owes its parent");
    matches(await tracker.status(settled), { state: "open" }, "the child of the settled task");
    matches(await tracker.status(stranger), { state: "open" }, "another group");
  }),
  aCase("a child that names another parent is not cancelled with the one that lists it", {}, async (t) => {
    const { tracker, parent, left, right, child } = await family(t);
    await tracker.register(left, ["x"], child("a"));
    await tracker.register(right, ["x"]);
    await tracker.cancel(parent, "enough");
    equal((await untilEnded(t, left)).state, "cancelled", "its child");
    equal((await tracker.status(right))?.state, "open", "a group that names no parent");
  }),
  aCase("a cancel with cascade: false spares the children", {}, async (t) => {
    const { tracker, parent, left, child } = await family(t);
    await tracker.register(left, ["x"], child("a"));
    await tracker.cancel(parent, "enough", { cascade: false });
    await t.advance(0);
    equal((await tracker.status(left))?.state, "open", "the child");
    await tracker.ack(left, "x");
    matches((await t.untilDelivery(left, "delivered")).delivery, { attempts: 1, lastError: null }, "its delivery");
  }),
  aCase("a child that is registered after its parent's end begins cancelled", { needs: ["clock"] }, async (t) => {
    const { tracker, parent, left, right, child, generation } = await family(t);
    await tracker.register(left, ["x"], child("a"));
    await tracker.cancel(parent, "enough");
    // The cancels of both children are one delivery.
    await untilEnded(t, left);
    await t.advance(10_000);
    const reason = `its parent ${parent} has ended`;
    matches(await tracker.register(right, ["x"], child("b")), { state: "cancelled", reason }, "the other child");
    const later = { groupId: parent, taskId: "b", generation: generation + 1 };
    const restart = { from: present(await tracker.status(right), "the child").generation };
    const next = await tracker.register(right, ["x"], { parent: later, restart });
    equal(next.state, "open", "a child of a later generation of the parent");
  }),
  aCase("children of a policy's early end are cancelled, grandchildren too", {}, async (t) => {
    const { tracker, parent, left, right, tasks, generation, child } = await family(t);
    const grandchild = t.id("grandchild");
    const complete = { toleratedFailureCount: 0 };
    await tracker.register(parent, tasks, { complete, restart: { from: generation }, ttlSec: 604_800 });
    await tracker.register(left, ["x"], child("a"));
    await tracker.register(right, [{ id: "y", group: grandchild }], child("b"));
    await tracker.register(grandchild, ["z"], { parent: { groupId: right, taskId: "y" } });
    await tracker.fail(left, "x", "broken");
    equal((await untilEnded(t, parent)).state, "failed", "the parent");
    equal((await untilEnded(t, right)).state, "cancelled", "the other child");
    equal((await untilEnded(t, grandchild)).state, "cancelled", "the grandchild");
  }),
  aCase("a child request ends with its parent", {}, async (t) => {
    const [tracker, requests] = [t.bareTracker(), requestTracker(t)];
    const [parent, requestId] = [t.id("parent"), t.id("request")];
    await tracker.register(parent, [{ id: "a", group: { requestId } }]);
    await requests.register(requestId, { parent: { groupId: parent, taskId: "a" } });
    await requests.add(requestId, "parse", "x");
    const wait = held(requests.wait(requestId, { timeoutMs: 20_000 }));
    await tracker.cancel(parent, "enough");
    await t.advance(0);
    matches(await wait, { state: "cancelled", reason: `its parent ${parent} has ended` }, "the request");
  }),
  aCase("groups that are each other's parents end by the first deadline", { needs: ["clock"] }, async (t) => {
    const tracker = t.bareTracker();
    const [first, second] = [t.id("first"), t.id("second")];
    const of = (groupId: string) => ({ parent: { groupId, taskId: "a" }, ttlSec: 604_800 });
    await tracker.register(first, ["a"], { ...of(second), timeoutSec: 10 });
    await tracker.register(second, ["a"], { ...of(first), timeoutSec: 600 });
    await t.advance(10_000);
    equal((await untilEnded(t, first)).state, "timed_out", "the first");
    matches(await untilEnded(t, second), { state: "completed", failed: 1 }, "the second");
    await t.advance(10_000);
    const status = present(await tracker.status(first), "the first");
    equal([status.state, status.remaining, status.delivery.state], ["timed_out", 1, "delivered"], "the first");
  }),
];
