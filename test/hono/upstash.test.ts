import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import {
  coordinationErrors,
  drainRoutes,
  type RequestOptions,
  requestStatusRoutes,
  requestWait,
} from "../../src/hono/index.js";
import { CompletionTracker, type CoordinatorEvent, RequestWaitTracker } from "../../src/index.js";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.js";
import { overshootMs } from "../support/overshoot.js";
import type {} from "../support/provided.js";
import { STAGES } from "./bench.js";

/** Words that must come back nowhere. */
const CANARY = "Canary7f3a91";
const SECRET = `secret-${CANARY}`;

let proxy: FaultProxy;
let keyPrefix: string;
let events: CoordinatorEvent[];
beforeEach(async () => {
  proxy = await startFaultProxy(inject("restUrl"));
  keyPrefix = `hono-${crypto.randomUUID()}:`;
  events = [];
});
afterEach(() => proxy.close());

/** As it is made per request: through what spoils requests, or, for workers elsewhere, past it. */
const coordinatorAt = (url: string): UpstashCoordinator =>
  new UpstashCoordinator({ url, token: inject("restToken"), keyPrefix });
const worker = () => new RequestWaitTracker(coordinatorAt(inject("restUrl")), { stages: STAGES });

/** `POST /documents` accepts a document for alice or bob. Once it is accepted, `then` may happen. */
function application(options: Partial<RequestOptions<"parse" | "embed">> = {}, then: () => void = () => {}) {
  const ids: string[] = [];
  const all: RequestOptions<"parse" | "embed"> = {
    coordinator: () => coordinatorAt(proxy.url),
    stages: STAGES,
    scope: (c) => c.req.header("x-user") ?? "",
    onEvent: (event) => events.push(event),
    ...options,
  };
  const app = new Hono()
    .onError(coordinationErrors())
    .post("/documents", requestWait(all), async (c) => {
      const { id, add } = c.var.requestWait;
      await add("parse", "document");
      ids.push(id);
      then();
      return c.json({ document: "document" }, 202);
    })
    .route("/requests", requestStatusRoutes(all))
    .route("/drain", drainRoutes({ coordinator: () => coordinatorAt(proxy.url), secret: SECRET }));
  const call = async (method: string, path: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
    app.request(path, {
      method,
      headers: { "x-user": "alice", ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
  return { ids, call };
}

it("waits, polls and follows a request whose work is done elsewhere", async () => {
  const { ids, call } = application();
  const headers = { prefer: "wait=10", "x-request-id": "r" };
  const waiting = call("POST", "/documents", headers);
  await expect.poll(() => ids).toHaveLength(1);
  const [id = ""] = ids;

  const stream = await call("GET", "/requests/r/events");
  expect((await call("GET", "/requests/r", { "x-user": "bob" })).status).toBe(404);
  expect((await (await call("GET", "/requests/r")).json()).state).toBe("pending");
  await worker().ack(id, "parse", "document", { next: [{ stage: "embed", taskIds: "document" }] });
  await worker().fail(id, "embed", "document", "no model");

  const response = await waiting;
  expect([response.status, response.headers.get("preference-applied")]).toEqual([200, "wait=10"]);
  const { document, queueStatus } = await response.json();
  expect([document, queueStatus.parse.processed, queueStatus.embed.errors]).toEqual([
    "document",
    1,
    [{ taskId: "document", message: "no model" }],
  ]);
  const text = await stream.text();
  expect(text.match(/^event: .*$/gm)?.at(-1)).toBe("event: complete");
  const ended = await (await call("GET", "/requests/r", { prefer: "wait=5" })).json();
  expect(ended).toEqual({ id: "r", state: "complete", final: true, open: 0, queueStatus, reason: null });
  const lastId =
    text
      .match(/^id: \d+\.\d+$/gm)
      ?.at(-1)
      ?.slice(4) ?? "";
  expect((await call("GET", "/requests/r/events", { "last-event-id": lastId })).status).toBe(204);
  expect(events).toEqual([]);
});

it("answers 202 when the time is over, and holds nothing open after it", async () => {
  const { call } = application();
  const response = await call("POST", "/documents?wait=true&timeout=0.3");
  expect([response.status, response.headers.get("retry-after")]).toEqual([202, "1"]);
  const status = await call("GET", response.headers.get("location") ?? "");
  expect([status.status, (await status.json()).state]).toEqual([200, "pending"]);
  await expect.poll(() => proxy.openStreams).toBe(0);
});

it("closes its subscription when the client leaves", async () => {
  const { call } = application();
  const leaving = new AbortController();
  const waiting = call("POST", "/documents", { prefer: "wait=20", "x-request-id": "r" }, leaving.signal);
  await expect.poll(() => proxy.openStreams).toBe(1);
  const stream = await call("GET", "/requests/r/events", {}, leaving.signal);
  const text = stream.text();
  leaving.abort();
  await Promise.all([waiting, text]);
  await expect.poll(() => proxy.openStreams).toBe(0);
  expect(events).toEqual([]);
});

describe("a backend that is silent once the work was accepted", () => {
  const hang = (): void => {
    proxy.standing = "silent before";
    proxy.subscribe = "hang";
  };

  it.each(["accepted", "gateway-timeout"] as const)("delays clients by at most 100 ms: %s", async (onTimeout) => {
    const { call } = application({ maxWaitMs: 500, onTimeout }, hang);
    const statuses: number[] = [];
    const lateMs = await overshootMs(500, async () => {
      proxy.standing = "none";
      statuses.push((await call("POST", "/documents", { prefer: "wait=20" })).status);
    });
    expect(lateMs).toBeLessThanOrEqual(100);
    expect(new Set(statuses)).toEqual(new Set([onTimeout === "accepted" ? 202 : 504]));
    expect(events[0]).toMatchObject({ type: "followup_failed", transition: "request.seal" });
  });

  it("waits a failure out that passes", async () => {
    const { ids, call } = application({}, () => proxy.faults.push("error after", "dropped before"));
    const waiting = call("POST", "/documents", { prefer: "wait=10" });
    await expect.poll(() => ids).toHaveLength(1);
    await worker().ack(ids[0] ?? "", "parse", "document");
    expect((await waiting).status).toBe(200);
  });
});

it("row 74: a failing handler ends the request for its waiting clients, and a retry runs the handler again", async () => {
  let isBroken = true;
  const { ids, call } = application({}, () => {
    if (isBroken) throw new Error(CANARY);
  });
  const headers = { "idempotency-key": "order:4711" };
  expect((await call("POST", "/documents", headers)).status).toBe(500);
  const ended = await call("GET", "/requests/order:4711", { prefer: "wait=20" });
  expect(await ended.json()).toMatchObject({
    state: "cancelled",
    final: true,
    reason: "the handler answered with status 500",
  });
  isBroken = false;
  const waiting = call("POST", "/documents", { ...headers, prefer: "wait=10" });
  await expect.poll(() => ids).toHaveLength(2);
  expect((await worker().ack(ids[1] ?? "", "parse", "document")).verdict).toBe("accepted");
  expect((await waiting).status).toBe(200);
});

it("row 56: tells an EventSource to come again while the backend is away", async () => {
  const { call } = application();
  await call("POST", "/documents", { "idempotency-key": "r" });
  proxy.standing = { status: 503, body: CANARY };
  const response = await call("GET", "/requests/r/events", { accept: "text/event-stream" });
  expect([response.status, await response.text()]).toEqual([200, "retry: 3000\n\n"]);
  expect(events).toMatchObject([{ type: "followup_failed", transition: "request.progress" }]);
});

it("drains due work for a caller that has the secret", async () => {
  const tracker = new CompletionTracker(coordinatorAt(inject("restUrl")));
  await tracker.register("g", ["a"], { timeoutSec: 0.05 });
  const { call } = application();
  expect((await call("POST", "/drain", { authorization: "Bearer another-secret-of-tests" })).status).toBe(401);
  expect(proxy.requests).toEqual([]);
  const drain = async () => (await call("GET", "/drain", { authorization: `Bearer ${SECRET}` })).json();
  await expect.poll(drain).toMatchObject({ woken: 1, left: false });
});

it("tells no secret on any way (S6)", async () => {
  const away = application({ coordinator: () => new UpstashCoordinator({ url: "http://127.0.0.1:9", token: CANARY }) });
  const { call } = application();
  const scoped = { "x-user": `user-${CANARY}`, "x-request-id": "r" };
  const spoiled = (fault: FaultProxy["faults"][number], path: string) => {
    proxy.faults.push(...Array(10).fill(fault));
    return call(path === "/documents" ? "POST" : "GET", path, scoped).finally(() => proxy.faults.splice(0));
  };
  const responses: Response[] = [];
  for (const path of ["/documents", "/requests/r", "/requests/r/events"]) {
    responses.push(await away.call(path === "/documents" ? "POST" : "GET", path, scoped));
    responses.push(await spoiled({ status: 500, body: CANARY }, path));
    responses.push(await spoiled({ status: 401, body: `{"error":"${CANARY}"}` }, path));
    responses.push(await spoiled({ status: 400, body: `{"error":"ERR ${CANARY}"}` }, path));
    responses.push(await spoiled({ status: 200, body: CANARY }, path));
  }
  responses.push(await call("GET", `/requests/${CANARY}%2F`, scoped));
  responses.push(await call("GET", "/drain", { authorization: `Bearer ${SECRET}x` }));
  responses.push(await call("GET", "/drain", { authorization: `Basic ${CANARY}` }));
  for (const response of responses) {
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain(CANARY);
  }
});
