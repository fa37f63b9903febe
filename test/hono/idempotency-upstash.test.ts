import { Hono } from "hono";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { coordinationErrors, idempotency, idempotentRequests, requestWait } from "../../src/hono/index.js";
import { type CoordinatorEvent, RequestWaitTracker } from "../../src/index.js";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.js";
import type {} from "../support/provided.js";

const BYTES = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 7) % 256);

let proxy: FaultProxy;
let keyPrefix: string;
let events: CoordinatorEvent[];
let ran: number;
/** Called by the handler. */
let then: () => void;
beforeEach(async () => {
  proxy = await startFaultProxy(inject("restUrl"));
  keyPrefix = `idempotency-${crypto.randomUUID()}:`;
  events = [];
  ran = 0;
  then = () => {};
});
afterEach(() => proxy.close());

const coordinator = (): UpstashCoordinator =>
  new UpstashCoordinator({ url: proxy.url, token: inject("restToken"), keyPrefix });
const scope = () => "user";
const app = new Hono()
  .onError(coordinationErrors())
  .use(
    "/pay/*",
    idempotency({ coordinator, scope, onInFlight: "wait", leaseSec: 2, onEvent: (event) => events.push(event) }),
  )
  .post("/pay/binary", (c) => {
    ran++;
    then();
    return c.body(BYTES);
  })
  .post("/pay/fail", (c) => c.text(`${++ran}`, 500))
  .post(
    "/documents",
    requestWait({ coordinator, scope, stages: ["parse"], idempotency: idempotentRequests() }),
    async (c) => {
      ran++;
      await c.var.requestWait.add("parse", "a");
      return c.json({ id: c.var.requestWait.id }, 202);
    },
  );
const post = async (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  app.request(path, { method: "POST", headers: { "idempotency-key": "a/b:c", ...headers } });
const replays = (response: Response): boolean => response.headers.get("idempotency-replayed") === "true";

it("runs the handler once for twenty duplicates, and gives each 64 KB of any bytes", async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => post("/pay/binary")));
  for (const response of all) expect(new Uint8Array(await response.arrayBuffer())).toEqual(BYTES);
  expect([all.filter(replays).length, ran]).toEqual([19, 1]);
  expect(events).toEqual([]);
});

it.each(["dropped after", "error after", "dropped before", "replayed"] as const)(
  "runs the handler once when the answer of its begin is %s",
  async (fault) => {
    proxy.faults.push(fault);
    expect((await post("/pay/binary")).status).toBe(200);
    expect(replays(await post("/pay/binary"))).toBe(true);
    expect(ran).toBe(1);
  },
);

it.each(["dropped after", "error after", "dropped before", "replayed"] as const)(
  "keeps the response when the answer of its finish is %s",
  async (fault) => {
    then = () => proxy.faults.push(fault);
    expect((await post("/pay/binary")).status).toBe(200);
    await expect.poll(async () => replays(await post("/pay/binary"))).toBe(true);
    expect(ran).toBe(1);
  },
);

it("answers 503 when the backend is away before the handler, which does not run", async () => {
  proxy.standing = { status: 503 };
  const response = await post("/pay/binary");
  expect([response.status, response.headers.get("content-type"), ran]).toEqual([503, "application/problem+json", 0]);
});

it("sends the response when the backend is away after the handler; a duplicate may run it again after the lease", async () => {
  then = () => {
    proxy.standing = { status: 503 };
  };
  expect((await post("/pay/binary")).status).toBe(200);
  await expect.poll(() => events).toMatchObject([{ type: "followup_failed", transition: "dedupe.finish" }]);
  proxy.standing = "none";
  then = () => {};
  const second = await post("/pay/binary");
  expect([second.status, replays(second), ran]).toEqual([200, false, 2]);
});

it("frees the key of a 500", async () => {
  expect([(await post("/pay/fail")).status, (await post("/pay/fail")).status, ran]).toEqual([500, 500, 2]);
});

it("does one job for a key of requestWait, and waits for it anew at a replay", async () => {
  const { id } = (await (await post("/documents")).json()) as { id: string };
  const waiting = post("/documents", { prefer: "wait=20" });
  await new RequestWaitTracker(coordinator(), { stages: ["parse"] }).ack(id, "parse", "a");
  const response = await waiting;
  expect([response.status, replays(response), ran]).toEqual([200, true, 1]);
  expect(await response.json()).toMatchObject({ id, queueStatus: { parse: { processed: 1 } } });
});
