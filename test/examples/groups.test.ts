import { afterAll, describe, expect, inject, it } from "vitest";
import { firstAnswers } from "../../examples/groups/enough.js";
import { indexAll, type Message, work } from "../../examples/groups/pipeline.js";
import { repair } from "../../examples/groups/repair.js";
import { type Job, reportApp } from "../../examples/groups/report.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { CompletionTracker, type DrainableCoordinator, drainEvery, MemoryCoordinator } from "../../src/index.js";
import type {} from "../support/provided.js";

const redis = new UpstashCoordinator({
  url: inject("restUrl"),
  token: inject("restToken"),
  keyPrefix: "group-examples:",
});
// Redis has no timer: the drain runs deadlines.
const stop = drainEvery(redis as DrainableCoordinator, { everyMs: 500 });
afterAll(() => stop());

describe.each([
  ["memory", new MemoryCoordinator()],
  ["Redis", redis],
] as const)("the examples of examples/groups, on %s", (_, coordinator) => {
  const tracker = new CompletionTracker(coordinator);
  const id = () => crypto.randomUUID();

  it("enough: takes 20 of 30 answers, stops seven calls, and refuses three late answers", async () => {
    const ask = (taskId: string, signal: AbortSignal): Promise<string> => {
      const nth = Number(taskId.slice("call-".length));
      if (nth <= 20) return Promise.resolve(`answer ${nth}`);
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      // The last three do not stop at the signal.
      return aborted.then(() => (nth <= 27 ? Promise.reject(signal.reason) : "too late"));
    };
    const { status, answers, fates } = await firstAnswers(coordinator, id(), { calls: 30, needed: 20, ask });
    expect(status).toMatchObject({ state: "completed", ok: true, completionReason: "min_successful_reached" });
    expect(status).toMatchObject({ succeeded: 20, failed: 0, remaining: 10 });
    expect(answers.sort()).toEqual(Array.from({ length: 20 }, (_, i) => `answer ${i + 1}`).sort());
    expect(fates.filter((fate) => fate === "accepted")).toHaveLength(20);
    expect(fates.slice(20)).toEqual([...Array(7).fill("stopped"), ...Array(3).fill("late")]);
  });

  it("enough: fails as soon as too few calls are left", async () => {
    const ask = (taskId: string): Promise<string> => Promise.reject(new Error(`${taskId} is overloaded`));
    const { status } = await firstAnswers(coordinator, id(), { calls: 3, needed: 2, ask });
    expect(status).toMatchObject({ state: "failed", completionReason: "failure_tolerance_exceeded", remaining: 1 });
  });

  it("pipeline: waits for chunks that no caller knew at the start, delivered twice and before their announcement", async () => {
    const split = (document: string) => [1, 2, 3].slice(0, document.length).map((n) => `${document}/${n}`);
    const pending = new Set<Promise<void>>();
    const send = (message: Message): void => {
      for (let copy = 0; copy < 2; copy++) {
        const done = work(coordinator, message, { split, embed: (chunk) => [chunk.length], send });
        pending.add(done);
      }
    };
    async function* pages() {
      yield ["a", "bb"];
      yield ["bb", "ccc"];
    }
    const groupId = id();
    const status = await indexAll(coordinator, groupId, { pages: pages(), send });
    expect(status).toMatchObject({ state: "completed", ok: true, sealed: true, total: 9, succeeded: 9 });
    expect(status?.stages).toMatchObject({
      split: { total: 3, open: 0, succeeded: 3 },
      embed: { total: 6, open: 0, succeeded: 6 },
    });
    await Promise.all(pending);
    const results = await tracker.results(groupId);
    expect(results?.items).toHaveLength(6);
    expect(results?.items).toContainEqual({ stage: "embed", taskId: "ccc/3", result: [5] });
  });

  it("report: streams progress until each nested group has ended, one of them by its deadline", async () => {
    const send = ({ groupId, part }: Job): void => {
      if (part !== "never") setImmediate(() => tracker.ack(groupId, part));
    };
    const app = reportApp(coordinator, { send, sourceTimeoutSec: 0.5, reportTimeoutSec: 30 });
    const body = JSON.stringify({ fast: ["image-1", "image-2"], slow: ["image-1", "never"] });
    const accepted = await app.request("/reports", { method: "POST", body });
    expect(accepted.status).toBe(202);
    const location = accepted.headers.get("location") ?? "";
    const stream = await app.request(`${location}/events`);
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    const events = [...(await stream.text()).matchAll(/event: (\w+)\nid: \d+\.\d+\ndata: (.*)\n\n/g)];
    expect(events.length).toBeGreaterThan(1);
    expect(new Set(events.slice(0, -1).map(([, name]) => name))).toEqual(new Set(["progress"]));
    const [, last, data = ""] = events.at(-1) ?? [];
    expect(last).toBe("complete");
    const reportId = location.slice("/reports/".length);
    expect(JSON.parse(data)).toMatchObject({ id: reportId, state: "complete", final: true, open: 0 });
    expect(JSON.parse(data).queueStatus.sources).toMatchObject({
      total: 2,
      processed: 1,
      errorCount: 1,
      errors: [{ taskId: "slow", message: `${reportId}.slow timed_out: deadline` }],
    });
    // The images of the source that timed out were cancelled with it.
    const images = await app.request(`/sources/${reportId}.slow.images`, { headers: { prefer: "wait=20" } });
    expect(await images.json()).toMatchObject({ state: "cancelled", remaining: 1 });
    const fast = await app.request(`/sources/${reportId}.fast`);
    expect(await fast.json()).toMatchObject({ state: "completed", ok: true, succeeded: 2 });
  });

  it("repair: sends only what is left of a group that timed out, and keeps the results of the rest", async () => {
    const groupId = id();
    await tracker.register(groupId, ["a", "b", "c", "d"], { timeoutSec: 0.2 });
    await tracker.ack(groupId, [
      { id: "a", result: "first" },
      { id: "b", error: "overloaded" },
    ]);
    expect(await tracker.wait(groupId)).toMatchObject({ state: "timed_out", reason: "deadline", remaining: 2 });
    const sent: [string, number][] = [];
    const send = (taskId: string, generation: number): void => void sent.push([taskId, generation]);
    const status = await repair(coordinator, groupId, { send, timeoutSec: 60 });
    expect(status).toMatchObject({ state: "open", total: 4, succeeded: 1, failed: 0, remaining: 3 });
    expect(sent.map(([taskId]) => taskId)).toEqual(["b", "c", "d"]);
    for (const [taskId, generation] of sent) {
      await tracker.ack(groupId, { id: taskId, result: "second" }, { generation });
    }
    expect(await tracker.status(groupId)).toMatchObject({ state: "completed", ok: true, succeeded: 4 });
    const results = await tracker.results(groupId, { order: "registration" });
    expect(results?.items.map(({ result }) => result)).toEqual(["first", "second", "second", "second"]);
    // Nothing is left to repair.
    await repair(coordinator, groupId, { send, timeoutSec: 60 });
    expect(sent).toHaveLength(3);
  });
});
