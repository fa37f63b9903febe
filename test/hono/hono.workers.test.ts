import { env } from "cloudflare:workers";
import { Hono } from "hono";
import { afterEach, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { coordinationErrors, drainRoutes, requestStatusRoutes, requestWait } from "../../src/hono/index.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { inside, resetAll, type Stub } from "../support/test-worker.js";

afterEach(resetAll);

type Bindings = typeof env;
const STAGES = ["parse", "embed"] as const;
const ids: string[] = [];

/** A Worker's application: what does I/O is made per request. */
const options = {
  coordinator: (c: { readonly env: Bindings }) => new DurableObjectCoordinator({ namespace: c.env.COORDINATOR }),
  stages: STAGES,
  scope: (c: { readonly req: { header(name: string): string | undefined } }) => c.req.header("x-user") ?? "",
};
const app = new Hono<{ Bindings: Bindings }>()
  .onError(coordinationErrors())
  .post("/documents", requestWait(options), async (c) => {
    const { id, add } = c.var.requestWait;
    await add("parse", ["a", "b"]);
    ids.push(id);
    if (c.req.header("x-broken") !== undefined) throw new Error("broken");
    return c.json({ document: "document" }, 202);
  })
  .route("/requests", requestStatusRoutes(options))
  .route(
    "/drain",
    drainRoutes({ ...options, coordinator: options.coordinator as never, secret: "a-secret-of-these-tests" }),
  );

const call = async (method: string, path: string, headers: Record<string, string> = {}, signal?: AbortSignal) => {
  const init = { method, headers: { "x-user": "alice", ...headers }, ...(signal === undefined ? {} : { signal }) };
  return app.fetch(new Request(`https://a.example${path}`, init), env);
};

const worker = () =>
  new RequestWaitTracker(new DurableObjectCoordinator({ namespace: env.COORDINATOR }), { stages: STAGES });
const requestObject = (id: string): Stub => env.COORDINATOR.getByName(`coord:{request}${id}`);
const openWatches = (id: string): Promise<number> => inside(requestObject(id), (object) => object.openWatches());

async function begun(headers: Record<string, string>, signal?: AbortSignal) {
  ids.length = 0;
  const waiting = call("POST", "/documents", headers, signal);
  await expect.poll(() => ids).toHaveLength(1);
  return { waiting, id: ids[0] ?? "" };
}

it("waits, polls and follows a request in a Durable Object", async () => {
  const { waiting, id } = await begun({ prefer: "wait=10", "x-request-id": "r" });
  const stream = await call("GET", "/requests/r/events");
  expect((await call("GET", "/requests/r", { "x-user": "bob" })).status).toBe(404);
  await worker().ack(id, "parse", "a");
  await worker().fail(id, "parse", "b", "broken");
  const response = await waiting;
  expect([response.status, response.headers.get("x-request-id")]).toEqual([200, "r"]);
  const { document, queueStatus } = await response.json<{ document: string; queueStatus: unknown }>();
  expect([document, queueStatus]).toMatchObject(["document", { parse: { processed: 1, errorCount: 1 } }]);
  const text = await stream.text();
  expect(text.match(/^event: .*$/gm)?.at(-1)).toBe("event: complete");
  const shown = { id: "r", state: "complete", final: true, open: 0, queueStatus, reason: null };
  expect(await (await call("GET", "/requests/r")).json()).toEqual(shown);
});

it("answers 202 when the time is over, and goes on in the status", async () => {
  const { waiting, id } = await begun({ prefer: "wait=1" });
  const response = await waiting;
  expect([response.status, response.headers.get("preference-applied")]).toEqual([202, "wait=1"]);
  const polling = call("GET", response.headers.get("location") ?? "", { prefer: "wait=10" });
  await worker().ack(id, "parse", "a");
  await worker().ack(id, "parse", "b");
  expect((await (await polling).json<{ state: string }>()).state).toBe("complete");
  expect(await openWatches(id)).toBe(0);
});

it("row 74: a failing handler ends the request for the clients that wait for it", async () => {
  expect((await call("POST", "/documents", { "idempotency-key": "r", "x-broken": "1" })).status).toBe(500);
  const ended = await (await call("GET", "/requests/r", { prefer: "wait=20" })).json();
  expect(ended).toMatchObject({ state: "cancelled", final: true, reason: "the handler answered with status 500" });
  const { id } = await begun({ "idempotency-key": "r" });
  expect((await worker().status(id))?.state).toBe("pending");
});

it("leaves no watch in the object when its client goes", async () => {
  const leaving = new AbortController();
  const { waiting, id } = await begun({ prefer: "wait=2" }, leaving.signal);
  await expect.poll(() => openWatches(id)).toBe(1);
  leaving.abort();
  const startedMs = performance.now();
  await waiting;
  expect(performance.now() - startedMs).toBeLessThan(500);
  // An object hears of no abort: its watch ends with the wait that was asked for, or with its hop of 25 s.
  await expect.poll(() => openWatches(id), { timeout: 4_000 }).toBe(0);
});

it("has no queue to drain: an object wakes its records by itself", async () => {
  const response = await call("POST", "/drain", { authorization: "Bearer a-secret-of-these-tests" });
  expect([response.status, (await response.json<{ code: string }>()).code]).toEqual([501, "unsupported"]);
});
