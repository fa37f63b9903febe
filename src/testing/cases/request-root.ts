import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, matches, present } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

/** A request that waits for a group: its tracker, its id, and the target that marks its root. */
async function heldUp(t: Bench, label = "request") {
  const requests = new RequestWaitTracker(t.coordinator(), { stages: ["embed"] });
  const requestId = t.id(label);
  await requests.registerRequest(requestId);
  await requests.registerRoot(requestId, "embed", "chunks");
  const root = { requestRoot: { requestId, stage: "embed", rootId: "chunks" } };
  /** Waits until the request is complete. */
  const wait = () => {
    const work = requests.waitForRequest(requestId, { timeoutMs: 20_000 });
    work.catch(() => {});
    return work;
  };
  return { requests, requestId, root, wait };
}

export const requestRoot: readonly ConformanceCase[] = [
  aCase("a group that succeeds completes the request that waits for it, without a handler", {}, async (t) => {
    const [{ root, wait }, id] = [await heldUp(t), t.id()];
    const status = wait();
    await t.bareTracker().register(id, ["a", "b"], { onEnd: root });
    await t.bareTracker().ack(id, ["a", "b"]);
    await t.untilDelivery(id, "delivered");
    equal((await status)?.status.embed, { processed: 1, requeueCount: 0, errorCount: 0, errors: [] }, "the counts");
  }),
  aCase("a group with failures fails the root of the request, and says with what", {}, async (t) => {
    const [{ root, wait }, id] = [await heldUp(t), t.id()];
    const status = wait();
    await t.tracker().register(id, ["a", "b"], { onComplete: root });
    await t.tracker().ack(id, ["a", { id: "b", error: "the model is gone" }]);
    await t.untilDelivery(id, "delivered");
    const { processed, errors } = present(await status, "the status").status.embed;
    equal(
      { processed, errors },
      { processed: 0, errors: [{ message: "1 of 2 tasks failed: the model is gone" }] },
      "it",
    );
  }),
  aCase("a group that times out or is cancelled fails the root", { needs: ["clock"] }, async (t) => {
    const [timed, late] = [await heldUp(t, "timed"), t.id("late")];
    await t.bareTracker().register(late, 1, { onTimeout: timed.root, timeoutSec: 60 });
    await t.advance(61_000);
    await t.untilDelivery(late, "delivered");
    equal((await timed.wait())?.status.embed.errors, [{ message: "the group timed out" }], "timed out");
    const [stopped, id] = [await heldUp(t, "stopped"), t.id()];
    await t.bareTracker().register(id, 1, { onEnd: stopped.root });
    await t.bareTracker().cancel(id, "enough");
    await t.untilDelivery(id, "delivered");
    equal((await stopped.wait())?.status.embed.errors, [{ message: "the group was cancelled: enough" }], "cancelled");
  }),
  aCase("a request that is gone does not hold the group's delivery up", {}, async (t) => {
    const [{ root, requests, requestId }, id] = [await heldUp(t), t.id()];
    await t.bareTracker().register(id, ["a"], { onEnd: root });
    await requests.cleanup(requestId);
    await t.bareTracker().ack(id, "a");
    matches((await t.untilDelivery(id, "delivered")).delivery, { attempts: 1, lastError: null }, "the delivery");
    equal(await requests.state(requestId), "unknown", "the request");
  }),
  aCase("a delivery that is made again marks the root once", {}, async (t) => {
    const [{ root, requests, requestId }, id] = [await heldUp(t), t.id()];
    await t.bareTracker().register(id, ["a"], { onEnd: root });
    await t.bareTracker().ack(id, "a");
    await t.untilDelivery(id, "delivered");
    await t.bareTracker().redeliver(id);
    await t.untilDelivery(id, "delivered");
    matches((await requests.queueStatus(requestId))?.embed, { processed: 1 }, "the counts");
  }),
  aCase("a request that has no room for the root's stage leaves a dead letter that says so", {}, async (t) => {
    const [{ root, requests, requestId, wait }, id] = [await heldUp(t), t.id()];
    const stages = Array.from({ length: 63 }, (_, i) => `stage-${i}`);
    const crowd = new RequestWaitTracker(t.coordinator(), { stages });
    for (const stage of stages) await crowd.recordProcessed(requestId, stage, 1);
    const target = { requestRoot: { ...root.requestRoot, stage: "one more" } };
    await t.bareTracker().register(id, ["a"], { onEnd: target });
    await t.bareTracker().ack(id, "a");
    const { delivery } = await t.untilDelivery(id, "dead");
    matches(delivery, { attempts: 1, lastError: "the request has no room for more stages" }, "the delivery");
    await requests.markDone(requestId, "embed", "chunks");
    equal((await wait())?.status.embed.processed, 1, "the request goes on");
  }),
  aCase("a request of the same id that began long after the group is left alone", { needs: ["clock"] }, async (t) => {
    const [{ root, requests, requestId }, id] = [await heldUp(t), t.id()];
    await t.bareTracker().register(id, ["a"], { onEnd: root, timeoutSec: 600 });
    await requests.cleanup(requestId);
    await t.advance(61_000);
    await requests.registerRequest(requestId);
    await requests.registerRoot(requestId, "embed", "chunks");
    await t.bareTracker().ack(id, "a");
    await t.untilDelivery(id, "delivered");
    equal(await requests.state(requestId), "pending", "the request");
    matches((await requests.queueStatus(requestId))?.embed, { processed: 0, errorCount: 0 }, "its counts");
  }),
];
