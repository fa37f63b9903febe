import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CoalesceTracker } from "../../src/trackers/coalesce.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { DedupeWindow } from "../../src/trackers/dedupe.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { RequestStatsAccumulator } from "../../src/trackers/stats.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

const coordinator = () => new HttpCoordinator({ url: worker.url, token: TOKEN });
const requestsOf = () => new RequestWaitTracker(coordinator(), { stages: ["parse", "embed"] });
const NOTHING = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };

describe("a RequestWaitTracker over HTTP", () => {
  it("waits until every task is acked, and reports progress on the way", async () => {
    const id = freshId();
    const requests = requestsOf();
    expect(await requests.register(id)).toMatchObject({ requestId: id, state: "pending", final: false, open: 0 });
    expect(await requests.add(id, "parse", ["a", "b"])).toMatchObject({ outcome: "added", added: ["a", "b"] });
    const waiting = requestsOf().wait(id, { timeoutMs: 20_000 });

    const first = await requests.newer(id, "", { timeoutMs: 20_000 });
    expect(first).toMatchObject({ state: "pending", open: 2 });
    const news = requests.newer(id, first?.version ?? "", { timeoutMs: 20_000 });
    await requests.ack(id, "parse", "a", { processed: 3, next: [{ stage: "embed", taskIds: "a" }] });
    await requests.count(id, "embed", { requeued: 2 });
    expect((await news)?.version).not.toBe(first?.version);
    await requests.count(id, "embed", { processed: 4 });
    await requests.count(id, "embed", { error: "slow" });
    await requests.ack(id, "embed", "a");
    expect(await requests.fail(id, "parse", "b", "unreadable")).toEqual({ verdict: "accepted", state: "complete" });

    const unreadable = { taskId: "b", message: "unreadable" };
    const stages = {
      parse: { ...NOTHING, total: 2, processed: 3, errorCount: 1, errors: [unreadable] },
      embed: {
        ...NOTHING,
        total: 1,
        processed: 5,
        requeueCount: 2,
        errorCount: 1,
        errors: [{ taskId: null, message: "slow" }],
      },
    };
    expect(await waiting).toMatchObject({ state: "complete", stages });
    expect((await requests.status(id))?.stages).toEqual(stages);
    expect(await requests.seal(id)).toMatchObject({ state: "complete", final: true, stages });
    const shown = { id, state: "complete", final: true, open: 0, queueStatus: stages, reason: null };
    expect((await call("GET", `/v1/requests/${id}`)).json).toMatchObject(shown);
    const states: string[] = [];
    for await (const { state } of requests.progress(id)) states.push(state);
    expect(states).toEqual(["complete"]);
    expect(await requests.remove(id)).toBe(true);
    expect(await requests.remove(id)).toBe(false);
    expect(await requests.status(id)).toBeNull();
  });

  it("reports a wait that timed out, an unknown request, and a cap that was reached", async () => {
    const id = freshId();
    const requests = requestsOf();
    expect(await requests.wait(id, { timeoutMs: 20_000 })).toBeNull();
    expect(await requests.newer(id, "", { timeoutMs: 20_000 })).toBeNull();
    await requests.register(id);
    expect(await requests.wait(id, { timeoutMs: 2_000 })).toMatchObject({ state: "pending", open: 0 });
    const stages = Array.from({ length: 64 }, (_, i) => `stage-${i}`);
    const others = new RequestWaitTracker(coordinator(), { stages });
    for (const stage of stages) await others.count(id, stage, { processed: 1 });
    await expect(requests.add(id, "parse", "a")).rejects.toMatchObject({ code: "limit_exceeded" });
  });

  it("ends its wait when a group that a CompletionTracker registered ends", async () => {
    const id = freshId();
    const requests = requestsOf();
    await requests.register(id);
    await requests.add(id, "embed", "document");
    const groups = new CompletionTracker(coordinator());
    const onEnd = { task: { requestId: id, stage: "embed", taskId: "document" } };
    await groups.register(freshId(), [], { onEnd });
    const end = await requests.wait(id, { timeoutMs: 20_000 });
    expect(end?.stages).toEqual({ parse: NOTHING, embed: { ...NOTHING, total: 1, processed: 1 } });
  });
});

describe("the small trackers over HTTP", () => {
  it("a CoalesceTracker makes older versions stale once a newer one was sent", async () => {
    const key = freshId();
    const versions = new CoalesceTracker(coordinator());
    const older = await versions.supersede(key, () => {});
    await expect(
      versions.supersede(key, () => {
        throw new Error("the queue is full");
      }),
    ).rejects.toThrow("the queue is full");
    expect(await versions.isStale(key, older)).toBe(false);
    const newer = await versions.next(key);
    expect([await versions.isStale(key, older), await versions.isStale(key, newer)]).toEqual([true, false]);
  });

  it("a DedupeWindow claims a key once, and again after work that failed", async () => {
    const key = ["account|1", freshId()];
    const window = new DedupeWindow(coordinator());
    const fail = window.run(key, () => Promise.reject(new Error("not enqueued")));
    await expect(fail).rejects.toThrow("not enqueued");
    expect(await window.run(key, () => "enqueued")).toEqual({ outcome: "ran", value: "enqueued", kept: true });
    expect(await window.run(key, () => "twice")).toEqual({ outcome: "replayed", value: "enqueued", kept: true });
    expect([await window.forget(key), await window.claim(key)]).toEqual([true, true]);
    expect([await window.release(key), await window.release(key), await window.claim(key)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("a RequestStatsAccumulator hands its counts out once", async () => {
    const stats = new RequestStatsAccumulator(coordinator(), freshId(), { maxTracked: 64_000 });
    await Promise.all([1, 2, 3].map((processed) => stats.merge("a", { processed, errorCount: 1 })));
    const consumed = await Promise.all([stats.consume("a"), stats.consume("a"), stats.consume("b")]);
    expect(consumed.filter((counts) => counts !== null)).toEqual([{ processed: 6, requeueCount: 0, errorCount: 3 }]);
  });
});
