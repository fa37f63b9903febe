import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Hono } from "hono";
import { afterEach, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { coordinationErrors, idempotency, idempotentRequests, requestWait } from "../../src/hono/index.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { bench, resetAll } from "../support/test-worker.js";

type Bindings = typeof env;
const ids: string[] = [];
let ran = 0;
/** Settled by a test; the handlers of `/slow` wait for it. */
let passed: Promise<void> = Promise.resolve();
let open = (): void => {};
const close = (): void => {
  passed = new Promise((resolve) => {
    open = resolve;
  });
};

afterEach(async () => {
  ran = 0;
  ids.length = 0;
  await resetAll();
});

const coordinator = (c: { readonly env: Bindings }) => new DurableObjectCoordinator({ namespace: c.env.COORDINATOR });
const scope = () => "user";
const BYTES = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 7) % 256);
const app = new Hono<{ Bindings: Bindings }>()
  .onError(coordinationErrors())
  .use("/once/*", idempotency({ coordinator, scope }))
  .post("/once/binary", (c) => c.body(BYTES, 200, { "x-nth": `${++ran}` }))
  .post("/once/large", (c) => c.body(new Uint8Array(65_537), 200, { "x-nth": `${++ran}` }))
  .post("/once/echo", async (c) => c.json(await c.req.json(), 201, { "x-nth": `${++ran}` }))
  .post("/once/slow", async (c) => {
    const nth = ++ran;
    await passed;
    return c.text(`${nth}`);
  })
  .post(
    "/documents",
    requestWait({ coordinator, scope, stages: ["parse"], idempotency: idempotentRequests({ onInFlight: "wait" }) }),
    async (c) => {
      ran++;
      ids.push(c.var.requestWait.id);
      await c.var.requestWait.add("parse", "a");
      return c.json({ document: "a" }, 202);
    },
  );

interface Sent {
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly body?: string;
}
const post = async (path: string, { headers, signal, body = "{}" }: Sent = {}, ctx = createExecutionContext()) => {
  const all = { "idempotency-key": "a/b:c", ...headers };
  const init = { method: "POST", headers: all, body, ...(signal === undefined ? {} : { signal }) };
  const response = await app.fetch(new Request(`https://a.example${path}`, init), env, ctx);
  return { response, ctx };
};
const send = async (path: string, sent?: Sent) => (await post(path, sent)).response;
const replays = (response: Response): boolean => response.headers.get("idempotency-replayed") === "true";

it("runs the handler once for twenty duplicates, and keeps 64 KB of any bytes", async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => send("/once/binary")));
  expect(all.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
  const again = await send("/once/binary");
  expect([again.status, replays(again), again.headers.get("x-nth")]).toEqual([200, true, null]);
  expect(new Uint8Array(await again.arrayBuffer())).toEqual(BYTES);
  for (const response of all) await response.arrayBuffer();
  expect(ran).toBe(1);
});

it("leaves the body to the handler, and compares it", async () => {
  expect(await (await send("/once/echo", { body: '{"a":1}' })).json()).toEqual({ a: 1 });
  expect(await (await send("/once/echo", { body: '{"a":1}' })).json()).toEqual({ a: 1 });
  expect((await send("/once/echo", { body: '{"a":2}' })).status).toBe(422);
  expect(ran).toBe(1);
});

it("sends a larger body, and does not run the handler again", async () => {
  expect((await (await send("/once/large")).arrayBuffer()).byteLength).toBe(65_537);
  await expect.poll(async () => (await send("/once/large")).status).toBe(409);
  expect(await (await send("/once/large")).json()).toMatchObject({ code: "result_not_kept" });
  expect(ran).toBe(1);
});

it("runs the handler again after a crash, once the lease is over", async () => {
  close();
  const crashed = send("/once/slow");
  await expect.poll(() => ran).toBe(1);
  expect((await send("/once/slow")).status).toBe(409);
  bench.aheadMs += 31_000;
  const second = send("/once/slow");
  await expect.poll(() => ran).toBe(2);
  open();
  expect(await (await second).text()).toBe("2");
  await crashed;
  const again = await send("/once/slow");
  expect([replays(again), await again.text()]).toEqual([true, "2"]);
});

it("goes on in waitUntil when its client disconnects", async () => {
  close();
  const leaving = new AbortController();
  const ctx = createExecutionContext();
  const gone = post("/once/slow", { signal: leaving.signal }, ctx);
  await expect.poll(() => ran).toBe(1);
  leaving.abort();
  open();
  await gone;
  await waitOnExecutionContext(ctx);
  const again = await send("/once/slow");
  expect([again.status, replays(again), ran]).toEqual([200, true, 1]);
});

it("does one job for a key of requestWait, and each duplicate waits for it anew", async () => {
  const waiting = Array.from({ length: 5 }, () => send("/documents", { headers: { prefer: "wait=20" } }));
  await expect.poll(() => ids.length).toBe(1);
  const worker = new RequestWaitTracker(new DurableObjectCoordinator({ namespace: env.COORDINATOR }), {
    stages: ["parse"],
  });
  await worker.ack(ids[0] ?? "", "parse", "a");
  for (const response of await Promise.all(waiting)) {
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ document: "a", queueStatus: { parse: { processed: 1 } } });
  }
  expect(ran).toBe(1);
});
