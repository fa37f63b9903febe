import { Hono } from "hono";
import { every } from "hono/combine";
import { HTTPException } from "hono/http-exception";
import { describe, expect, it } from "vitest";
import { requestWait } from "../../src/hono/index.js";
import { CoordinationError, MemoryCoordinator } from "../../src/index.js";
import {
  type Bench,
  blackHole,
  gate,
  type HandlerContext,
  held,
  makeBench,
  RECORD_OF_R,
  registering,
  STAGES,
  tamper,
} from "./bench.js";

const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
/** A task that was announced, and settled by no worker. */
const announced = { ...none, total: 1, open: 1 };
const done = { ...none, total: 1, processed: 1 };
const KEY = { "idempotency-key": "r" };
const PATH = "/requests/r";

type Fail = (c: HandlerContext) => Response | Promise<Response>;

/** A handler that adds a task and fails as long as `isBroken`. */
function brokenBench(fail: Fail) {
  const state = { isBroken: true };
  const bench = makeBench({
    handler: async (c) => {
      const accepted = await registering(c);
      return state.isBroken ? fail(c) : accepted;
    },
  });
  return { bench, state };
}

const throwing = (): Response => {
  throw new Error("postgres://app:Canary7f3a91@db");
};

describe("a handler that fails after it has added tasks", () => {
  it.each([
    ["throws", throwing, 500, "the handler answered with status 500"],
    [
      "throws an HTTPException",
      (): Response => {
        throw new HTTPException(409, { message: "no" });
      },
      409,
      "the handler answered with status 409",
    ],
    ["answers with an error", () => new Response("no", { status: 503 }), 503, "the handler answered with status 503"],
    ["refuses", () => new Response("no", { status: 422 }), 422, "the handler answered with status 422"],
    ["returns nothing", () => undefined as unknown as Response, 500, "the handler returned no response"],
  ])(
    "row 74: ends the request at once, for the status and for all waiting clients: it %s",
    async (_, fail: Fail, status, message) => {
      const { opened, open } = gate();
      const { bench } = brokenBench(async (c) => {
        await opened;
        return fail(c);
      });
      const posting = await held(bench.post(KEY));
      const polling = await held(bench.get(PATH, { prefer: "wait=20" }));
      const following = await bench.get(`${PATH}/events`);
      expect([posting.isHeld(), polling.isHeld()]).toEqual([true, true]);
      open();
      expect((await posting.response).status).toBe(status);
      const queueStatus = { parse: announced, embed: none };
      const ended = { id: "r", state: "cancelled", final: true, open: 1, queueStatus, reason: message };
      expect(await (await polling.response).json()).toEqual(ended);
      const events = await following.text();
      expect(events.match(/^event: .*$/gm)?.at(-1)).toBe("event: cancelled");
      expect(events).toContain(`data: ${JSON.stringify(ended)}`);
      expect(await (await bench.get(PATH)).json()).toEqual(ended);
      // Nothing was waited out.
      expect([bench.clock.pending, bench.events]).toEqual([0, []]);
    },
  );

  it("row 74: does the work when the client sends the request again", async () => {
    const { bench, state } = brokenBench(throwing);
    await bench.post(KEY);
    state.isBroken = false;
    const again = await held(bench.post({ ...KEY, prefer: "wait=10" }));
    expect(again.isHeld()).toBe(true);
    expect((await bench.worker.ack(RECORD_OF_R, "parse", "a")).verdict).toBe("accepted");
    const response = await again.response;
    expect([response.status, (await response.json()).queueStatus.parse]).toEqual([200, done]);
  });

  it("row 74: says nothing of the error, and counts it in no stage", async () => {
    const bench = makeBench({
      handler: async (c) => {
        await c.var.requestWait.add("embed", "a");
        await c.var.requestWait.add("parse", "a");
        return throwing();
      },
    });
    await bench.post(KEY);
    const text = await (await bench.get(PATH)).text();
    expect(text).not.toContain("Canary");
    expect(JSON.parse(text)).toMatchObject({
      reason: "the handler answered with status 500",
      queueStatus: { parse: announced, embed: announced },
    });
  });

  it("row 74: ends the request though it has added nothing", async () => {
    const bench = makeBench({ handler: throwing });
    await bench.post(KEY);
    expect(await (await bench.get(PATH)).json()).toMatchObject({
      state: "cancelled",
      final: true,
      queueStatus: { parse: none, embed: none },
    });
  });

  it("row 74: answers a late ack of its messages with cancelled, and counts nothing", async () => {
    const { bench } = brokenBench(throwing);
    await bench.post(KEY);
    expect(await bench.worker.ack(RECORD_OF_R, "parse", "a")).toEqual({
      verdict: "cancelled",
      state: "cancelled",
    });
    expect((await bench.worker.status(RECORD_OF_R))?.stages.parse).toEqual(announced);
  });

  it("row 74: leaves the request to a copy of it that was accepted, or is at work still", async () => {
    const gates = [gate<Response | undefined>(), gate<Response | undefined>(), gate<Response | undefined>()];
    let copies = 0;
    const bench: Bench = makeBench({
      handler: async (c) => {
        const { opened } = gates[copies++] ?? gate();
        const accepted = await registering(c);
        return (await opened) ?? accepted;
      },
    });
    // The client has given the first up and sends a second.
    const first = await held(bench.post(KEY));
    const second = await held(bench.post({ ...KEY, prefer: "wait=10" }));
    gates[0]?.open(new Response("no", { status: 500 }));
    expect((await first.response).status).toBe(500);
    expect((await bench.worker.status(RECORD_OF_R))?.state).toBe("pending");
    gates[1]?.open(undefined);
    // A third fails when the second was accepted.
    gates[2]?.open(new Response("no", { status: 500 }));
    expect((await bench.post(KEY)).status).toBe(500);
    expect([second.isHeld(), (await bench.worker.status(RECORD_OF_R))?.state]).toEqual([true, "pending"]);
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    const response = await second.response;
    expect([response.status, (await response.json()).queueStatus.parse]).toEqual([200, done]);
  });

  it("row 74: ends the request with the last copy, when each has failed", async () => {
    const gates = [gate(), gate()];
    let copies = 0;
    const bench = makeBench({
      handler: async (c) => {
        const own = gates[copies++];
        await registering(c);
        await own?.opened;
        return throwing();
      },
    });
    const [first, second] = [await held(bench.post(KEY)), await held(bench.post(KEY))];
    gates[1]?.open();
    await second.response;
    expect((await bench.worker.status(RECORD_OF_R))?.state).toBe("pending");
    gates[0]?.open();
    await first.response;
    expect((await bench.worker.status(RECORD_OF_R))?.state).toBe("cancelled");
  });

  it("row 74: ends the request of a client that has gone", async () => {
    const leaving = new AbortController();
    const { bench } = brokenBench((c) => {
      leaving.abort();
      c.req.raw.signal.throwIfAborted();
      return new Response("unreachable");
    });
    await bench.post(KEY, "/work", leaving.signal);
    expect((await bench.worker.status(RECORD_OF_R))?.state).toBe("cancelled");
  });

  it("row 74: ends the request where no error handler stands between", async () => {
    const coordinator = new MemoryCoordinator();
    const accept = requestWait({ coordinator, stages: STAGES, scope: () => "user" });
    const app = new Hono()
      .onError((error, c) => c.text(error.message, 500))
      .use(every(accept as never))
      .post("/work", () => {
        throw "no Error at all";
      });
    await expect(app.request("/work", { method: "POST", headers: KEY })).rejects.toBe("no Error at all");
    const view = await coordinator.run("request.status", RECORD_OF_R, {});
    expect(view).toMatchObject({ view: { state: "cancelled", reason: "the handler failed" } });
  });

  it.each([
    ["fails", () => Promise.reject(new CoordinationError("backend_unavailable", "away", { retryable: true })), 0],
    ["is silent", blackHole, 1_000],
  ])("row 74: is answered all the same when the backend %s, and the hook hears of it", async (_, fault, waitedMs) => {
    const { bench } = brokenBench(throwing);
    tamper(bench.coordinator, (transition) => (transition === "request.abandon" ? fault() : undefined));
    const posting = await held(bench.post(KEY));
    expect(posting.isHeld()).toBe(waitedMs > 0);
    await bench.clock.advance(waitedMs);
    expect((await posting.response).status).toBe(500);
    expect(bench.events).toMatchObject([{ type: "followup_failed", transition: "request.abandon", id: RECORD_OF_R }]);
    expect(bench.clock.pending).toBe(0);
  });
});

describe("a handler that forgets to return its response", () => {
  it.each([
    ["that waits", { prefer: "wait=1" }],
    ["that does not", {}],
    ["that asks for a 202", { prefer: "respond-async" }],
  ])("row 70: is an error, as without the middleware, for a client %s", async (_, headers: Record<string, string>) => {
    const bench = makeBench({ handler: async (c) => void (await registering(c)) as unknown as Response });
    const heard: string[] = [];
    bench.app.onError((error, c) => {
      heard.push(error.message);
      return c.text("no", 500);
    });
    const response = await bench.post({ ...headers, "idempotency-key": "r" });
    expect([response.status, await response.text()]).toEqual([500, "no"]);
    expect([response.headers.get("x-request-id"), response.headers.get("cache-control")]).toEqual(["r", "no-store"]);
    expect(heard).toEqual([expect.stringContaining("Did you forget to return a Response object")]);
  });
});
