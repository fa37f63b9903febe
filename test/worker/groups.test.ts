import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

describe("GET /health", () => {
  it("says that it is there, and its version, without a token", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    const { status, json } = await call("GET", "/health", { token: null });
    expect([status, json]).toEqual([200, { status: "ok", version }]);
  });
});

describe("a group", () => {
  it("ends when its named tasks are acked", async () => {
    const path = `/v1/groups/${freshId()}`;
    const created = await call("PUT", path, { body: { tasks: ["a", "b"], metadata: { of: ["x"] }, timeoutSec: 60 } });
    expect(created.status).toBe(200);
    expect(created.json).toMatchObject({ state: "open", total: 2, remaining: 2, metadata: { of: ["x"] } });

    const acked = await call("POST", `${path}/acks`, {
      body: { tasks: [{ id: "a", result: { pages: 3 } }, { id: "a" }, { id: "b", error: "unreadable" }, "c"] },
    });
    expect(acked.json.results.map(({ verdict }) => verdict)).toEqual(["accepted", "duplicate", "accepted", "unknown"]);
    expect(acked.json.status).toMatchObject({ state: "completed", ok: false, succeeded: 1, failed: 1 });
    expect((await call("GET", path)).json).toEqual(acked.json.status);
    expect((await call("GET", `${path}/results`)).json).toEqual({
      items: [{ taskId: "a", stage: null, result: { pages: 3 } }],
      next: null,
    });
  });

  it("is the same group when its registration is repeated, and a new one when it is restarted", async () => {
    const path = `/v1/groups/${freshId()}`;
    const body = { tasks: ["a", "b"] };
    const first = await call("PUT", path, { body });
    await call("POST", `${path}/acks`, { body: { tasks: [{ id: "a" }] } });
    const again = await call("PUT", path, { body: { tasks: ["b", "a"] } });
    expect(again.json).toMatchObject({ generation: first.json.generation, remaining: 1 });
    const restarted = await call("PUT", path, { body: { ...body, restart: { from: first.json.generation } } });
    expect(restarted.json).toMatchObject({ remaining: 2, state: "open" });
    expect(restarted.json.generation).toBeGreaterThan(first.json.generation);
    const forced = await call("PUT", path, { body: { ...body, restart: true } });
    expect(forced.json.generation).toBeGreaterThan(restarted.json.generation);
  });

  it("counts anonymous tasks, each opId once", async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 5 } });
    expect((await call("POST", `${path}/decrement`, { body: {} })).json).toEqual({ remaining: 4 });
    const body = { by: 2, opId: "message-7" };
    expect((await call("POST", `${path}/decrement`, { body })).json).toEqual({ remaining: 2 });
    expect((await call("POST", `${path}/decrement`, { body })).json).toEqual({ remaining: 2 });
  });

  it("is cancelled with a reason, and queued for redelivery without harm", async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 1 } });
    const cancelled = await call("POST", `${path}/cancel`, { body: { reason: "no longer wanted" } });
    expect(cancelled.json).toMatchObject({ state: "cancelled", reason: "no longer wanted" });
    expect((await call("POST", `${path}/redeliver`)).json).toEqual(cancelled.json);
    expect((await call("POST", `${path}/acks`, { body: { tasks: [{ id: "a" }] } })).json.results[0]?.verdict).toBe(
      "cancelled",
    );
  });

  it("takes acks before its registration", async () => {
    const path = `/v1/groups/${freshId()}`;
    const early = await call("POST", `${path}/acks`, { body: { tasks: [{ id: "a" }] } });
    expect(early.json).toMatchObject({ results: [{ verdict: "early", state: "unregistered" }], status: null });
    expect((await call("PUT", path, { body: { tasks: ["a"] } })).json.state).toBe("completed");
  });

  it("hands out its results page by page", async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { total: 3 } });
    const tasks = ["a", "b", "c"].map((id, result) => ({ id, result }));
    await call("POST", `${path}/acks`, { body: { tasks } });
    const first = (await call("GET", `${path}/results?limit=2`)).json;
    expect(first).toEqual({
      items: [
        { taskId: "a", stage: null, result: 0 },
        { taskId: "b", stage: null, result: 1 },
      ],
      next: 2,
    });
    expect((await call("GET", `${path}/results?after=2&limit=2`)).json).toEqual({
      items: [{ taskId: "c", stage: null, result: 2 }],
      next: null,
    });
  });

  it("ignores acks of another generation", async () => {
    const path = `/v1/groups/${freshId()}`;
    const { generation } = (await call("PUT", path, { body: { total: 1 } })).json;
    const body = { tasks: [{ id: "a" }], generation: generation - 1 };
    expect((await call("POST", `${path}/acks`, { body })).json.results[0]?.verdict).toBe("unknown");
    expect((await call("POST", `${path}/acks`, { body: { ...body, generation } })).json.results[0]?.verdict).toBe(
      "accepted",
    );
  });
});

describe("an id in the path", () => {
  it.each([
    ["a/b"],
    ["{a}{b}"],
    ["a%2Fb"],
    ["%"],
    ["\0"],
    ["a\nb"],
    ["ü 日本 🎉"],
    ["?a=b#c"],
    ["__proto__"],
    ["..."],
    ["+"],
    [":id"],
    ["*"],
    [`${"x".repeat(255)}y`],
  ])("comes back exactly as %j", async (id) => {
    const path = `/v1/groups/${encodeURIComponent(id)}`;
    const { status, json } = await call("PUT", path, { body: { total: 1 } });
    expect([status, json.groupId]).toEqual([200, id]);
    expect((await call("GET", path)).json).toEqual(json);
  });

  it("is decoded once: what is encoded twice is another id", async () => {
    const id = freshId();
    await call("PUT", `/v1/groups/${encodeURIComponent(`${id}/a`)}`, { body: { total: 1 } });
    const other = await call("GET", `/v1/groups/${encodeURIComponent(encodeURIComponent(`${id}/a`))}`);
    expect(other.status).toBe(404);
  });
});
