import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { coordinationErrors, requestStatusRoutes } from "../../src/hono/index.js";
import { CoordinationError, type CoordinatorEvent, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { type EventSourceRun, followByEventSource, withoutEventSource } from "../support/event-source.js";
import { type Bench, blackHole, makeBench, RECORD_OF_R, STAGES, tamper } from "./bench.js";

const PATH = "/requests/r/events";
const ACCEPT = { accept: "text/event-stream" };
const away = (more = {}) => new CoordinationError("backend_unavailable", "no answer", { retryable: true, ...more });

describe("a client that accepts event streams", () => {
  const failing = async (error: unknown): Promise<Bench> => {
    const bench = makeBench();
    await bench.post({ "idempotency-key": "r" });
    tamper(bench.coordinator, () => Promise.reject(error));
    return bench;
  };

  it.each([
    ["a fault", away(), 3_000],
    ["a fault that says when it is over", away({ retryAfterMs: 7_000.5 }), 7_001],
    ["a fault that is over soon", away({ retryAfterMs: 10 }), 3_000],
    ["a fault that lasts", away({ retryAfterMs: 3_600_000 }), 60_000],
    ["a limit", new CoordinationError("limit_exceeded", "too many", { retryable: true }), 3_000],
    ["a busy backend", new CoordinationError("rate_limited", "busy", { retryable: true, retryAfterMs: 4_000 }), 4_000],
  ])("row 56: gets a retry hint, in an answer that keeps an EventSource open: %s", async (_, error, retryMs) => {
    const bench = await failing(error);
    const response = await bench.get(PATH, { ...ACCEPT, "last-event-id": "5" });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    // No event and no id: it goes on after what it has seen.
    expect(await response.text()).toBe(`retry: ${retryMs}\n\n`);
    expect(bench.events).toEqual([{ type: "followup_failed", transition: "request.progress", id: RECORD_OF_R, error }]);
  });

  it("row 56: gets a retry hint when the backend does not answer", async () => {
    const bench = await failing(away());
    tamper(bench.coordinator, () => blackHole());
    const response = bench.get(PATH, ACCEPT);
    await bench.clock.advance(10_000);
    expect(await (await response).text()).toBe("retry: 3000\n\n");
  });

  it("row 56: is refused where another try would help nothing, as is a client that reads problems", async () => {
    const misconfigured = await failing(new CoordinationError("misconfigured", "no token"));
    expect((await misconfigured.get(PATH, ACCEPT)).status).toBe(500);
    const passing = await failing(away());
    const response = await passing.get(PATH);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  });

  it("row 56: waits half a minute for the registration of a request, and is refused then", async () => {
    const bench = makeBench();
    const pauses: number[] = [];
    let lastEventId = "";
    for (;;) {
      const response = await bench.get(PATH, { ...ACCEPT, "last-event-id": lastEventId });
      if (response.status === 404) break;
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
      const text = await response.text();
      expect(text).toMatch(/\n\nevent: unknown\nid: unknown-\d\ndata: \{"state":"unknown"\}\n\n$/);
      pauses.push(Number(/^retry: (\d+)$/m.exec(text)?.[1]));
      lastEventId = /^id: (.*)$/m.exec(text)?.[1] ?? "";
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(bench.coordinator.size).toBe(0);
    // Registered meanwhile, it is found, and told from its beginning.
    await bench.post({ "idempotency-key": "r" });
    const found = await bench.get(PATH, { ...ACCEPT, "last-event-id": lastEventId });
    const reader = (found.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toContain("event: progress");
    await reader.cancel();
  });

  it("row 56: gets the end of a request that is removed while it follows it, and an unknown event a minute later", async () => {
    const bench = makeBench();
    await bench.post({ "idempotency-key": "r" });
    const following = (await bench.get(PATH, ACCEPT)).text();
    await bench.worker.remove(RECORD_OF_R);
    await bench.clock.advance(1_000);
    const text = await following;
    expect(text.match(/^event: .*$/gm)?.at(-1)).toBe("event: cancelled");
    const id = /^id: (.*)$/gm.exec(text.slice(text.indexOf("event: cancelled")))?.[1] ?? "";
    expect((await bench.get(PATH, { ...ACCEPT, "last-event-id": id })).status).toBe(204);
    await bench.clock.advance(61_000);
    const late = await (await bench.get(PATH, { ...ACCEPT, "last-event-id": id })).text();
    expect(late.match(/^(event|id): .*$/gm)).toEqual(["event: unknown", "id: unknown-1"]);
  });

  it("row 56: gets an unknown event when the backend has lost the request that it follows", async () => {
    const bench = makeBench();
    await bench.post({ "idempotency-key": "r" });
    const following = (await bench.get(PATH, ACCEPT)).text();
    await settle();
    tamper(bench.coordinator, (transition) =>
      transition === "request.progress" ? Promise.resolve({ ready: true, version: 1 }) : undefined,
    );
    await bench.clock.advance(15_000);
    expect((await following).match(/^(event|id): .*$/gm)?.slice(-2)).toEqual(["event: unknown", "id: unknown-1"]);
  });

  it("row 56: gets the same answer for another user's request as for an unknown one", async () => {
    const bench = makeBench({ scope: (c) => c.req.header("x-user") ?? "" });
    await bench.post({ "x-user": "alice", "idempotency-key": "r" });
    const of = async (path: string) => (await bench.get(path, { ...ACCEPT, "x-user": "bob" })).text();
    expect(await of(PATH)).toBe(await of("/requests/none/events"));
  });
});

/** The routes behind HTTP, on the system's clock: what an `EventSource` does is the subject. */
describe.skipIf(withoutEventSource !== undefined)("a browser's EventSource", () => {
  let coordinator: MemoryCoordinator;
  let worker: RequestWaitTracker<(typeof STAGES)[number]>;
  let server: Server;
  let client: EventSourceRun | undefined;
  let events: CoordinatorEvent[];
  /** How many connections were answered while there was a fault. */
  let faulty: number;
  /** What every look meets; `undefined`: the backend is well. */
  let fault: CoordinationError | undefined;

  beforeEach(async () => {
    fault = undefined;
    faulty = 0;
    events = [];
    coordinator = new MemoryCoordinator();
    worker = new RequestWaitTracker(coordinator, { stages: STAGES });
    tamper(coordinator, (transition) =>
      transition === "request.progress" && fault !== undefined ? Promise.reject(fault) : undefined,
    );
    const scope = () => "user";
    const options = { coordinator, stages: STAGES, scope, maxStreamMs: 1_000 };
    const app = new Hono()
      .onError(coordinationErrors())
      .use(async (_, next) => {
        const met = fault;
        await next();
        if (met !== undefined) faulty++;
      })
      .route("/requests", requestStatusRoutes({ ...options, onEvent: (event) => events.push(event) }));
    server = createAdaptorServer({ fetch: app.fetch }) as Server;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterEach(async () => {
    await client?.close();
    server.closeAllConnections();
    server.close();
  });

  const follow = (): EventSourceRun => {
    client = followByEventSource(`http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`);
    return client;
  };
  const names = ({ seen }: EventSourceRun): string[] => seen.map((line) => line.split(" ")[0] ?? "");

  it("row 56: survives a failure of its next connection, and receives the end", async () => {
    await worker.register(RECORD_OF_R);
    await worker.add(RECORD_OF_R, "parse", "a");
    await worker.seal(RECORD_OF_R);
    const source = follow();
    await expect.poll(() => names(source)).toContain("progress");
    fault = away();
    // The stream has ended, and another connection has met the fault.
    await expect.poll(() => faulty).toBe(1);
    fault = undefined;
    expect(events).not.toEqual([]);
    await worker.ack(RECORD_OF_R, "parse", "a");
    await expect.poll(() => names(source)).toContain("complete");
    await expect.poll(() => names(source).at(-1)).toBe("closed");
    expect(names(source).indexOf("closed")).toBeGreaterThan(names(source).indexOf("complete"));
    expect(names(source).filter((name) => name === "complete")).toHaveLength(1);
  });

  it("row 56: comes a moment before the registration, and follows the request all the same", async () => {
    const source = follow();
    await expect.poll(() => names(source)).toContain("unknown");
    await worker.register(RECORD_OF_R);
    await worker.add(RECORD_OF_R, "parse", "a");
    await expect.poll(() => names(source)).toContain("progress");
    expect(names(source)).not.toContain("closed");
  });

  it("is closed by an error status: what the routes keep from it", async () => {
    fault = new CoordinationError("misconfigured", "no token");
    const source = follow();
    await expect.poll(() => names(source)).toEqual(["closed"]);
  });
});
