// Runs the installed package on the Node at hand, and is read by each compiler. Prints what it has tried.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import {
  CoalesceTracker,
  CompletionTracker,
  type CoordinationError,
  type Coordinator,
  DedupeWindow,
  defineBackend,
  drainEvery,
  type GroupStatus,
  type HandlerEvent,
  isDrainable,
  MemoryCoordinator,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "edge-coordinator";
import { mintCapability, verifyCapability } from "edge-coordinator/capability";
import { createCoordinator, parseConfig } from "edge-coordinator/config";
import { coordinationErrors, drainRoutes, requestStatusRoutes, requestWait } from "edge-coordinator/hono";
import { HttpCoordinator } from "edge-coordinator/http";
import { traced } from "edge-coordinator/otel";
import { conformanceCases, type Harness, ManualClock } from "edge-coordinator/testing";
import { UpstashCoordinator } from "edge-coordinator/upstash";
import { sign, verify, webhookSender } from "edge-coordinator/webhook";
import { Hono } from "hono";

const { UPSTASH_REDIS_REST_URL: url = "", UPSTASH_REDIS_REST_TOKEN: token = "" } = process.env;
const { WORKER_URL: workerUrl, WORKER_TOKEN: workerToken = "" } = process.env;
const tried: string[] = [];
const unique = (label: string): string => `${label}-${randomUUID()}`;

async function tries(name: string, work: () => Promise<void>): Promise<void> {
  await work();
  tried.push(name);
}

/** What every coordinator does, whoever delivers. */
async function trackersOn(coordinator: Coordinator): Promise<void> {
  const [group, request, key] = [unique("group"), unique("request"), unique("key")];
  const tracker = new CompletionTracker(coordinator);
  await tracker.register(group, ["a", "b"], { timeoutSec: 600, metadata: { some: ["thing"] } });
  const waiting = tracker.wait(group, { timeoutMs: 30_000 });
  assert.equal((await tracker.ack(group, { id: "a", result: 1 })).verdict, "accepted");
  assert.equal((await tracker.ack(group, "a")).verdict, "duplicate");
  assert.equal((await tracker.fail(group, "b", "broken")).ended, true);
  const status: GroupStatus | null = await waiting;
  assert(status !== null);
  assert.deepEqual([status.state, status.ok, status.succeeded, status.failed], ["completed", false, 1, 1]);
  assert.deepEqual((await tracker.results(group))?.items, [{ taskId: "a", stage: null, result: 1 }]);

  const requests = new RequestWaitTracker(coordinator, { stages: ["parse", "embed"] });
  await requests.register(request);
  await requests.add(request, "parse", "document");
  const waits = requests.wait(request, { timeoutMs: 30_000 });
  await requests.ack(request, "parse", "document", { next: [{ stage: "embed", taskIds: "document" }] });
  await requests.ack(request, "embed", "document", { processed: 3 });
  assert.equal((await waits)?.stages.embed.processed, 3);

  const versions = new CoalesceTracker(coordinator);
  const [older, newer] = [await versions.next(key), await versions.next(key)];
  assert.deepEqual([await versions.isStale(key, older), await versions.isStale(key, newer)], [true, false]);
  const window = new DedupeWindow(coordinator, { windowSec: 60 });
  assert.deepEqual([await window.claim(key), await window.claim(key)], [true, false]);
  const stats = new RequestStatsAccumulator(coordinator, unique("n").slice(0, 32));
  await stats.merge(key, { processed: 2 });
  assert.equal((await stats.consume(key))?.processed, 2);
  await Promise.all([1, 2, 3].map((by) => coordinator.incr(key, by)));
  assert.equal(await coordinator.getInt(key), 6);
  await coordinator.rpush(`${key} list`, "first", "é");
  assert.deepEqual(await coordinator.lrange(`${key} list`), ["first", "é"]);
}

/** A handler that this process runs, also when a drain finds the deadline. */
async function handlersOn(coordinator: Coordinator): Promise<void> {
  const seen: string[] = [];
  const publish = ({ type, payload }: HandlerEvent<{ path: string }>) => void seen.push(`${type} ${payload.path}`);
  const tracker = new CompletionTracker(coordinator, { handlers: { publish } });
  const onEnd = { handler: "publish", payload: { path: "x" } } as const;
  // @ts-expect-error nobody has this handler
  const wrong = { onEnd: { handler: "publsh", payload: { path: "x" } } } satisfies Parameters<
    typeof tracker.register
  >[2];
  assert.ok(wrong);
  const [ended, late] = [unique("ended"), unique("late")];
  await tracker.register(ended, 1, { onEnd });
  await tracker.ack(ended, "a");
  await tracker.register(late, 1, { onEnd, timeoutSec: 0.001 });
  for (let i = 0; i < 300 && seen.length < 2; i++) {
    if (isDrainable(coordinator)) await coordinator.drain();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(seen.sort(), ["group.completed x", "group.timed_out x"]);
  tracker.close();
}

await tries("memory", async () => {
  await trackersOn(new MemoryCoordinator());
  await handlersOn(new MemoryCoordinator());
});

await tries("conformance of memory", async () => {
  const harness = (): Harness => {
    const clock = new ManualClock();
    const coordinator = new MemoryCoordinator({ clock });
    return { coordinator: () => coordinator, advance: (ms) => clock.advance(ms) };
  };
  for (const { whyNot, run } of conformanceCases()) if (whyNot(harness()) === undefined) await run(harness());
});

await tries("tracing", () => trackersOn(traced(new MemoryCoordinator())));

await tries("a store of one's own", async () => {
  const rows = new Map<string, { version: string; data: string }>();
  const coordinator = defineBackend({
    load: async (name) => rows.get(name) ?? null,
    compareAndSet: async (name, version, next) => {
      if ((rows.get(name)?.version ?? null) !== version) return false;
      if (next === null) rows.delete(name);
      else rows.set(name, next);
      return true;
    },
  });
  await trackersOn(coordinator);
});

await tries("Upstash", async () => {
  const coordinator = new UpstashCoordinator({ url, token, keyPrefix: `${unique("compat")}:` });
  await trackersOn(coordinator);
  await handlersOn(coordinator);
  const stop = drainEvery(coordinator, { everyMs: 100 });
  await stop();
});

await tries("config", async () => {
  const env = { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token };
  await trackersOn(await createCoordinator({ backend: "upstash", upstash: { keyPrefix: "config:" } }, { env }));
  await trackersOn(await createCoordinator(parseConfig({}), { env: {} }));
  assert.throws(() => parseConfig({ backend: "memory", upstash: { keyPrefx: "a:" } }), /unknown field: keyPrefx/);
});

await tries("webhook", async () => {
  const secret = `whsec_${btoa("a secret of 24 bytes at least")}`;
  const received: { headers: IncomingMessage["headers"]; body: string }[] = [];
  const server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: (await buffer(request)).toString() });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const webhooks = webhookSender({ secrets: secret, allowedHosts: host, allowHttp: true });
  const tracker = new CompletionTracker(new MemoryCoordinator(), { webhooks });
  await tracker.register("webhook", 0, { onEnd: { url: `http://${host}/hook` } });
  for (let i = 0; i < 300 && received.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  const { headers, body } = received[0] ?? assert.fail("no webhook came");
  const { id, payload } = await verify({ secrets: secret, headers, body });
  assert.match(id, /^msg_/);
  assert.equal((payload as { type: string }).type, "group.completed");
  const forged = { secrets: secret, headers: { ...headers, "webhook-id": "msg_other" }, body };
  await assert.rejects(verify(forged), ({ code }: CoordinationError) => code === "unauthorized");
  assert.match(await sign({ secret, id: "msg_1", timestamp: new Date(), body: "{}" }), /^v1,/);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

await tries("capabilities", async () => {
  const keys = `capk_${"A".repeat(43)}`;
  const input = { groupId: "document-1", verbs: ["ack"], tasks: ["chunk-1"], generation: 1, ttlSec: "1h" } as const;
  const { token: capability, expiresAtMs } = await mintCapability({ keys, ...input });
  const { groupId, verbs, tasks } = await verifyCapability({ keys, token: capability });
  assert.deepEqual([groupId, verbs, tasks], ["document-1", ["ack"], [{ id: "chunk-1" }]]);
  assert.ok(expiresAtMs > Date.now());
  const others = verifyCapability({ keys: `capk_${"A".repeat(42)}E`, token: capability });
  await assert.rejects(others, ({ code }: CoordinationError) => code === "unauthorized");
});

await tries("hono", async () => {
  const coordinator = new MemoryCoordinator();
  const options = { coordinator, stages: ["parse"] as const, scope: () => "a user" };
  const app = new Hono()
    .onError(coordinationErrors())
    .post("/documents", requestWait(options), async (c) => {
      const { id, add } = c.var.requestWait;
      await add("parse", "document");
      setTimeout(
        () => void new RequestWaitTracker(coordinator, { stages: options.stages }).ack(id, "parse", "document"),
        10,
      );
      return c.json({ document: 1 }, 202);
    })
    .route("/requests", requestStatusRoutes(options))
    .route("/drain", drainRoutes({ coordinator: new UpstashCoordinator({ url, token }), secret: "s".repeat(16) }));
  const done = await app.request("/documents", { method: "POST", headers: { prefer: "wait=20" } });
  assert.equal(done.status, 200);
  const { queueStatus } = (await done.json()) as { queueStatus: { parse: { processed: number } } };
  assert.equal(queueStatus.parse.processed, 1);
  const later = await app.request("/documents", { method: "POST", headers: { prefer: "respond-async" } });
  assert.equal(later.status, 202);
  const stream = await app.request(`${later.headers.get("location")}/events`);
  assert.match(await stream.text(), /event: complete/);
  assert.equal((await app.request("/drain")).status, 401);
  const drained = await app.request("/drain", { headers: { authorization: `Bearer ${"s".repeat(16)}` } });
  assert.equal(drained.status, 200);
});

if (workerUrl !== undefined) {
  await tries("the Worker", async () => {
    const coordinator = new HttpCoordinator({ url: workerUrl, token: workerToken });
    await trackersOn(coordinator);
    const tracker = new CompletionTracker(coordinator);
    const group = unique("alarm");
    await tracker.register(group, 1, { timeoutSec: 1, onEnd: { handler: "publish", payload: { key: group } } });
    assert.equal((await tracker.wait(group, { timeoutMs: 60_000 }))?.state, "timed_out");
    for (let i = 0; i < 300 && (await coordinator.getInt(group)) === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(await coordinator.getInt(group), 1, "the object's alarm runs its handler");
    const stranger = new HttpCoordinator({ url: workerUrl, token: "a-token-of-nobody" });
    await assert.rejects(stranger.getInt("n"), ({ code }: CoordinationError) => code === "unauthorized");
  });
}

console.log(`${process.version}: ${tried.join(", ")}`);
