import { Hono } from "hono";
import { cors } from "hono/cors";
import { describe, expect, it } from "vitest";
import { requestStatusRoutes } from "../../src/hono/index.js";
import { CoordinationError } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { type Bench, blackHole, held, makeBench, RECORD_OF_R, STAGES, tamper } from "./bench.js";

const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const PATH = "/requests/r";
const UUID = "7b1c4a52-3c1e-4f0a-9d59-0f4b8f0a3c11";

/** A request that has one task, and was sealed. */
async function begun(options = {}): Promise<Bench> {
  const bench = makeBench(options);
  await bench.post({ "x-request-id": "r" });
  return bench;
}

describe("GET /:id", () => {
  it("returns the request's status in one round trip, and forbids caching", async () => {
    const bench = await begun();
    const calls: string[] = [];
    tamper(bench.coordinator, (transition) => void calls.push(transition));
    const pending = await bench.get(PATH);
    expect([pending.status, pending.headers.get("retry-after")]).toEqual([200, "1"]);
    expect(pending.headers.get("cache-control")).toBe("no-store");
    const open = { parse: { ...none, total: 1, open: 1 }, embed: none };
    const shown = { id: "r", state: "pending", final: false, open: 1, queueStatus: open, reason: null };
    expect(await pending.json()).toEqual(shown);
    expect(calls).toHaveLength(1);
    await bench.worker.ack(RECORD_OF_R, "parse", "a", { processed: 3 });
    const complete = await bench.get(PATH);
    expect(complete.headers.get("retry-after")).toBeNull();
    const queueStatus = { parse: { ...none, total: 1, processed: 3 }, embed: none };
    expect(await complete.json()).toEqual({ ...shown, state: "complete", final: true, open: 0, queueStatus });
  });

  it.each(["/requests/unknown", "/requests/a%2Fb", "/requests/a%3Ab", `/requests/${"x".repeat(300)}`, "/requests/%ff"])(
    "is 404 for one that is not there, and makes nothing: %s",
    async (path) => {
      const bench = makeBench();
      const response = await bench.get(path);
      expect([response.status, response.headers.get("cache-control")]).toEqual([404, "no-store"]);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(await response.json()).toMatchObject({ code: "not_found", status: 404 });
      expect(bench.coordinator.size).toBe(0);
    },
  );

  it("reads no record of a scope by its own name, where there is no scope", async () => {
    const bench = makeBench({ scope: () => "alice" });
    await bench.post();
    const { coordinator, ids } = bench;
    const open = requestStatusRoutes({ coordinator, stages: STAGES, scope: "public" });
    expect((await open.request(`/${encodeURIComponent(ids[0] ?? "")}`)).status).toBe(404);
  });

  it("waits for the end where the client wishes", async () => {
    const bench = await begun();
    const waiting = await held(bench.get(PATH, { prefer: "wait=60" }));
    expect(waiting.isHeld()).toBe(true);
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    const response = await waiting.response;
    expect([response.headers.get("preference-applied"), (await response.json()).state]).toEqual([
      "wait=20",
      "complete",
    ]);
    expect(bench.clock.pending).toBe(0);
  });

  it("returns the current status when the wait is over, with the counts made meanwhile", async () => {
    const bench = await begun();
    const waiting = await held(bench.get(`${PATH}?wait=true&timeout=10`));
    await bench.clock.advance(5_000);
    await bench.worker.count(RECORD_OF_R, "parse", { requeued: 1 });
    await bench.clock.advance(4_999);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    const response = await waiting.response;
    expect([response.status, response.headers.get("retry-after")]).toEqual([200, "1"]);
    const { state, queueStatus } = await response.json();
    expect([state, queueStatus.parse.requeueCount, bench.clock.pending]).toEqual(["pending", 1, 0]);
  });

  it.each([0.1, 1, 10])("returns the current status when a slow backend answers late: %d s", async (waitSec) => {
    const bench = await begun();
    const { clock } = bench;
    const far = async (transition: string, call: () => Promise<unknown>): Promise<unknown> => {
      if (transition === "request.progress") await new Promise<void>((done) => void clock.setTimer(done, 1_900));
      return call();
    };
    tamper(bench.coordinator, (transition, call) => far(transition, call));
    const waiting = await held(bench.get(`${PATH}?wait=true&timeout=${waitSec}`));
    await clock.advance(waitSec * 1_000 + 1_900);
    const response = await waiting.response;
    expect([response.status, (await response.json()).state, clock.pending]).toEqual([200, "pending", 0]);
  });

  it("looks once for wait=0, and waits for no request that is unknown", async () => {
    const bench = await begun();
    const response = await bench.get(PATH, { prefer: "wait=0" });
    expect([response.status, response.headers.get("preference-applied")]).toEqual([200, "wait=0"]);
    expect((await bench.get("/requests/unknown", { prefer: "wait=10" })).status).toBe(404);
  });

  it("ends its wait when the client goes, and leaves nothing behind", async () => {
    const bench = await begun();
    const leaving = new AbortController();
    const waiting = await held(bench.get(PATH, { prefer: "wait=10" }, leaving.signal));
    expect(bench.clock.pending).toBeGreaterThan(0);
    leaving.abort();
    expect([(await waiting.response).status, bench.clock.pending]).toEqual([499, 0]);
  });

  it.each([
    [{ prefer: "wait=5" }, 7_000],
    [{}, 10_000],
  ])("is a problem when the backend is silent, in its time: %j", async (headers: Record<string, string>, limitMs) => {
    const bench = await begun();
    tamper(bench.coordinator, () => blackHole());
    const waiting = await held(bench.get(PATH, headers));
    await bench.clock.advance(limitMs - 1);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    const response = await waiting.response;
    expect([response.status, (await response.json()).code]).toEqual([503, "backend_unavailable"]);
  });

  it("answers problems by itself, and leaves all other errors to the application", async () => {
    const app = new Hono().onError((error, c) => c.text(`app: ${error.message}`, 500));
    const error = new CoordinationError("limit_exceeded", "later", { retryable: true, retryAfterMs: 4_200 });
    const failing = (thrown: unknown) =>
      requestStatusRoutes({
        stages: STAGES,
        scope: "public",
        coordinator: () => {
          throw thrown;
        },
      });
    app.route("/limited", failing(error)).route("/broken", failing(new Error("mine")));
    const limited = await app.request(`/limited/${UUID}`);
    expect([limited.status, limited.headers.get("retry-after"), (await limited.json()).code]).toEqual([
      429,
      "5",
      "limit_exceeded",
    ]);
    expect(await (await app.request(`/broken/${UUID}`)).text()).toBe("app: mine");
  });

  it("row 70: answers problems behind middleware too, which may have set headers by either way", async () => {
    const error = new CoordinationError("limit_exceeded", "later", { retryable: true });
    const limited = requestStatusRoutes({
      stages: STAGES,
      scope: "public",
      coordinator: () => {
        throw error;
      },
    });
    const app = new Hono()
      .use(cors(), async (c, next) => {
        c.header("x-frame-options", "deny");
        await next();
      })
      .route("/requests", limited);
    for (const [path, status] of [
      [`/requests/${UUID}`, 429],
      ["/requests/none", 404],
    ] as const) {
      const response = await app.request(path);
      const { headers } = response;
      expect([response.status, headers.get("access-control-allow-origin"), headers.get("x-frame-options")]).toEqual([
        status,
        "*",
        "deny",
      ]);
      expect((await response.json()).status).toBe(status);
    }
  });
});

/** An `EventSource` of few words. */
class Events {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly blocks: string[] = [];
  isOver = false;

  constructor(readonly response: Response) {
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      this.blocks.push(...blocks);
    }
    this.isOver = true;
  }

  get events(): {
    event: string;
    id: string;
    data: { state: string; open: number; queueStatus: { parse: { processed: number } } };
  }[] {
    return this.blocks
      .filter((block) => block.includes("data:"))
      .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2))))
      .map(({ event, id, data }) => ({ event, id, data: JSON.parse(data) }));
  }

  get told(): (readonly [string, number, number])[] {
    return this.events.map(({ event, data }) => [event, data.open, data.queueStatus.parse.processed]);
  }

  get lastId(): string {
    return this.events.at(-1)?.id ?? "";
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function follow(bench: Bench, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Events> {
  const events = new Events(await bench.get(`${PATH}/events`, headers, signal));
  await settle();
  return events;
}

describe("GET /:id/events", () => {
  const three = {
    handler: async (c: Parameters<NonNullable<Parameters<typeof makeBench>[0]>["handler"] & {}>[0]) => {
      await c.var.requestWait.add("parse", ["a", "b", "c"]);
      return c.json({}, 202);
    },
  };

  it("tells what stands, each step within a second, and the end at once", async () => {
    const bench = await begun(three);
    const events = await follow(bench);
    expect([events.response.status, events.response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(events.response.headers.get("cache-control")).toBe("no-store, no-transform");
    expect(events.blocks[0]).toMatch(/^retry: \d+$/);
    expect(events.told).toEqual([["progress", 3, 0]]);
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    await bench.worker.ack(RECORD_OF_R, "parse", "b");
    await bench.clock.advance(1_000);
    expect(events.told.slice(1)).toEqual([["progress", 1, 2]]);
    await bench.worker.ack(RECORD_OF_R, "parse", "c");
    await settle();
    expect(events.told.slice(2)).toEqual([["complete", 0, 3]]);
    expect(events.events.at(-1)?.data.state).toBe("complete");
    expect([events.isOver, bench.clock.pending, bench.events]).toEqual([true, 0, []]);
    expect(new Set(events.events.map(({ id }) => id)).size).toBe(3);
  });

  it("goes on after what the client has seen, and repeats nothing", async () => {
    const bench = await begun(three);
    const first = await follow(bench);
    await first.close();
    expect(bench.clock.pending).toBe(0);
    const again = await follow(bench, { "last-event-id": first.lastId });
    await bench.clock.advance(5_000);
    expect(again.told).toEqual([]);
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    await bench.clock.advance(1_000);
    expect(again.told).toEqual([["progress", 2, 1]]);
    await again.close();
    await bench.worker.ack(RECORD_OF_R, "parse", "b");
    const third = await follow(bench, { "last-event-id": again.lastId });
    expect(third.told).toEqual([["progress", 1, 2]]);
    await third.close();
  });

  it("ends with the end event, also for late clients; a client that has seen it gets no stream", async () => {
    const bench = await begun();
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    const late = await follow(bench);
    expect([late.told, late.isOver]).toEqual([[["complete", 0, 1]], true]);
    for (const id of ["17", "1.17", "999999999999999.999999999999999"]) {
      expect((await follow(bench, { "last-event-id": id })).told).toEqual([["complete", 0, 1]]);
    }
    const again = await bench.get(`${PATH}/events`, { "last-event-id": late.lastId });
    expect([again.status, again.body]).toEqual([204, null]);
  });

  it.each(["x", "-1", "1.5", "9".repeat(16), "", "1e3", "1.", ".1", "1.2.3", `1.${"9".repeat(16)}`])(
    "begins anew for a Last-Event-ID that is none: %j",
    async (id) => {
      const bench = await begun();
      const events = await follow(bench, { "last-event-id": id });
      expect(events.told).toEqual([["progress", 1, 0]]);
      await events.close();
    },
  );

  it("is 404 before the stream begins, when there is no such request", async () => {
    const bench = makeBench();
    for (const path of ["/requests/unknown/events", "/requests/a%2Fb/events"]) {
      const response = await bench.get(path);
      expect([response.status, response.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
    }
  });

  it("keeps the connection alive while nothing happens", async () => {
    const bench = await begun();
    const events = await follow(bench);
    await bench.clock.advance(14_999);
    expect(events.blocks).toHaveLength(2);
    await bench.clock.advance(30_001);
    expect(events.blocks.slice(2)).toEqual([":", ":", ":"]);
    await events.close();
  });

  it("ends after its longest time, and goes on in another stream", async () => {
    const bench = await begun({ maxStreamMs: 20_000 });
    const events = await follow(bench);
    await bench.clock.advance(19_999);
    expect(events.isOver).toBe(false);
    await bench.clock.advance(1);
    expect([events.isOver, events.told, bench.clock.pending]).toEqual([true, [["progress", 1, 0]], 0]);
    const again = await follow(bench, { "last-event-id": events.lastId });
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    await settle();
    expect([again.told, again.isOver]).toEqual([[["complete", 0, 1]], true]);
  });

  it.each(["its signal", "its reader"])("leaves nothing behind when the client goes, by %s", async (how) => {
    const bench = await begun();
    const leaving = new AbortController();
    const events = await follow(bench, {}, leaving.signal);
    expect(bench.clock.pending).toBeGreaterThan(0);
    if (how === "its signal") leaving.abort();
    else await events.close();
    await settle();
    expect([events.isOver, bench.clock.pending, bench.events]).toEqual([true, 0, []]);
  });

  it("asks nothing more while the client does not read", async () => {
    const bench = await begun(three);
    const calls: string[] = [];
    tamper(bench.coordinator, (transition) => void calls.push(transition));
    const response = await bench.get(`${PATH}/events`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    for (const task of ["a", "b"]) {
      await bench.worker.ack(RECORD_OF_R, "parse", task);
      await bench.clock.advance(5_000);
    }
    expect(calls.filter((name) => name === "request.progress")).toHaveLength(1);
    expect(bench.clock.pending).toBe(0);
    // Two steps in one: no queue has grown.
    expect(new TextDecoder().decode((await reader.read()).value)).toContain('"open":1');
    await reader.cancel();
  });

  it("ends and reports an event when the backend fails, so that the client reconnects", async () => {
    const bench = await begun();
    const events = await follow(bench);
    const error = new CoordinationError("backend_unavailable", "no answer", { retryable: true });
    tamper(bench.coordinator, () => Promise.reject(error));
    await bench.clock.advance(15_000);
    expect(events.isOver).toBe(true);
    expect(bench.events).toEqual([{ type: "followup_failed", transition: "request.progress", id: RECORD_OF_R, error }]);
  });

  it("keeps the connection alive through a backend's silence, and ends in time", async () => {
    const bench = await begun({ maxStreamMs: 40_000 });
    const events = await follow(bench);
    tamper(bench.coordinator, () => blackHole());
    await bench.clock.advance(40_000);
    expect([events.isOver, events.blocks.slice(2), bench.clock.pending]).toEqual([true, [":", ":"], 0]);
  });

  it("ends when the request is no more", async () => {
    const bench = await begun();
    const events = await follow(bench);
    await bench.worker.remove(RECORD_OF_R);
    await settle();
    expect([events.isOver, bench.events]).toEqual([true, []]);
  });

  it("begins nothing for HEAD", async () => {
    const bench = await begun();
    const response = await bench.app.request(`${PATH}/events`, { method: "HEAD" });
    expect([response.status, response.body, bench.clock.pending]).toEqual([200, null, 0]);
  });
});
