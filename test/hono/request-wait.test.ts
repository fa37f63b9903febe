import { HTTPException } from "hono/http-exception";
import { afterEach, describe, expect, it, vi } from "vitest";
import { requestWait } from "../../src/hono/index.js";
import { CoordinationError, type Coordinator } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import {
  type Bench,
  blackHole,
  type HandlerContext,
  held,
  makeBench,
  RECORD_OF_R,
  registering,
  STAGES,
  tamper,
} from "./bench.js";

const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const DONE = { parse: { ...none, total: 1, processed: 1 }, embed: none };
const WAIT = { prefer: "wait=10" };

afterEach(() => vi.restoreAllMocks());

const idOf = (bench: Bench): string => bench.ids.at(-1) ?? "";
const told = ({ headers }: Response) =>
  Object.fromEntries(["location", "retry-after", "preference-applied"].map((name) => [name, headers.get(name)]));

describe("a client's wish", () => {
  const PATH = "/requests/request-1";
  const AT_ONCE = { location: PATH, "retry-after": "1", "preference-applied": "respond-async" };
  const NOT_ASKED = { location: PATH, "retry-after": null, "preference-applied": null };

  it.each([
    ["none", {}, "/work", NOT_ASKED],
    ["one that is not understood", { prefer: "wait=soon" }, "/work", NOT_ASKED],
    ["a wait of minus one", { prefer: "wait=-1" }, "/work", NOT_ASKED],
    ["another preference", { prefer: 'return=minimal; foo="wait=5"' }, "/work", NOT_ASKED],
    ["wait=false in the query", {}, "/work?wait=false&timeout=5", NOT_ASKED],
    ["a timeout alone", {}, "/work?timeout=5", NOT_ASKED],
    ["respond-async", { prefer: "respond-async" }, "/work", AT_ONCE],
    [
      "respond-async in capitals, with a parameter",
      { prefer: "handling=lenient, Respond-Async; foo" },
      "/work",
      AT_ONCE,
    ],
    ["respond-async, over the query", { prefer: "respond-async" }, "/work?wait=true", AT_ONCE],
  ])("is answered at once: %s", async (_, headers: Record<string, string>, path, expected) => {
    const bench = makeBench();
    const response = await bench.post({ "x-request-id": "request-1", ...headers }, path);
    expect([response.status, told(response)]).toEqual([202, expected]);
    expect(await response.json()).toEqual({ document: "a" });
  });

  it.each([
    ["wait=10", { prefer: "wait=10" }, "/work", 10_000, "wait=10"],
    ["in quotes, with blanks", { prefer: 'foo, wait = "3"' }, "/work", 3_000, "wait=3"],
    ["the first of two", { prefer: "wait=2, wait=5" }, "/work", 2_000, "wait=2"],
    ["more than is granted", { prefer: "wait=86400" }, "/work", 20_000, "wait=20"],
    ["more than a number holds", { prefer: `wait=${"9".repeat(400)}` }, "/work", 20_000, "wait=20"],
    ["respond-async, wait=4", { prefer: "respond-async, wait=4" }, "/work", 4_000, "respond-async, wait=4"],
    ["the header over the query", { prefer: "wait=4" }, "/work?wait=true&timeout=9", 4_000, "wait=4"],
    ["wait=true", {}, "/work?wait=true", 20_000, null],
    ["with a timeout", {}, "/work?wait=true&timeout=1.5", 1_500, null],
    ["with too long a timeout", {}, "/work?timeout=300&wait=true", 20_000, null],
    ["with a timeout that is none", {}, "/work?wait=true&timeout=soon", 20_000, null],
  ])("is granted for its time, then 202: %s", async (_, headers: Record<string, string>, path, waitMs, applied) => {
    const bench = makeBench();
    const waiting = await held(bench.post({ "x-request-id": "request-1", ...headers }, path));
    await bench.clock.advance(waitMs - 1);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    expect(waiting.isHeld()).toBe(false);
    const response = await waiting.response;
    const expected = { location: PATH, "retry-after": "1", "preference-applied": applied };
    expect([response.status, told(response)]).toEqual([202, expected]);
    expect(await response.json()).toEqual({ document: "a" });
    expect(bench.clock.pending).toBe(0);
    expect(bench.events).toEqual([]);
  });

  it("counts from the arrival: what the handler took is gone", async () => {
    const bench: Bench = makeBench({
      handler: async (c) => {
        await bench.clock.advance(4_000);
        return registering(c);
      },
    });
    const waiting = await held(bench.post({ prefer: "wait=5" }));
    await bench.clock.advance(999);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    expect((await waiting.response).status).toBe(202);
  });

  it("is looked at once when the handler took all the time: the request is sealed all the same", async () => {
    const bench: Bench = makeBench({
      handler: async (c) => {
        await bench.clock.advance(30_000);
        return c.json({}, 202);
      },
    });
    const response = await bench.post(WAIT);
    // Complete, and the look says so: there is no task.
    expect([response.status, (await bench.worker.status(idOf(bench)))?.state]).toEqual([200, "complete"]);
  });

  it("wait=0 is one look", async () => {
    const open = await makeBench().post({ prefer: "wait=0" });
    expect([open.status, told(open)["preference-applied"]]).toEqual([202, "wait=0"]);
    const nothing = await makeBench({ handler: (c) => c.json({}, 202) }).post({ prefer: "wait=0" });
    expect([nothing.status, Object.keys(await nothing.json())]).toEqual([200, ["queueStatus"]]);
  });

  it("is done at once when there is nothing to wait for, whatever it was", async () => {
    const handler = (c: HandlerContext) => c.json({ id: 7 }, 201, { location: "/documents/7" });
    for (const prefer of ["respond-async", "wait=5", "respond-async, wait=5"]) {
      const response = await makeBench({ handler }).post({ prefer });
      const waited = prefer.includes("wait=5") ? "wait=5" : null;
      const expected = { location: "/documents/7", "retry-after": null, "preference-applied": waited };
      expect([response.status, told(response)]).toEqual([201, expected]);
      expect(Object.keys(await response.json())).toEqual(["id", "queueStatus"]);
    }
  });

  it("says on what it depends, where caches could keep it", async () => {
    const bench = makeBench();
    expect((await bench.get("/work")).headers.get("vary")).toBe("Prefer");
    expect((await bench.post()).headers.get("vary")).toBeNull();
  });
});

describe("a request that is done in time", () => {
  it("gives the handler's response, its 202 a 200, with what was counted", async () => {
    const bench = makeBench();
    const waiting = await held(bench.post(WAIT));
    expect(waiting.isHeld()).toBe(true);
    await bench.worker.ack(idOf(bench), "parse", "a");
    const response = await waiting.response;
    expect([response.status, told(response)]).toEqual([
      200,
      { location: null, "retry-after": null, "preference-applied": "wait=10" },
    ]);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({ document: "a", queueStatus: DONE });
    expect([bench.clock.pending, bench.events]).toEqual([0, []]);
  });

  it("counts failures, and is done all the same", async () => {
    const bench = makeBench();
    const waiting = await held(bench.post(WAIT));
    await bench.worker.fail(idOf(bench), "parse", "a", "broken");
    const response = await waiting.response;
    expect(response.status).toBe(200);
    expect((await response.json()).queueStatus.parse).toMatchObject({
      errorCount: 1,
      errors: [{ taskId: "a", message: "broken" }],
    });
  });

  it("waits for the tasks that tasks hand on", async () => {
    const bench = makeBench();
    const waiting = await held(bench.post(WAIT));
    await bench.worker.ack(idOf(bench), "parse", "a", { next: [{ stage: "embed", taskIds: "a" }] });
    await settle();
    expect(waiting.isHeld()).toBe(true);
    await bench.worker.ack(idOf(bench), "embed", "a");
    expect((await waiting.response).status).toBe(200);
  });

  it("keeps an ack that overtakes the announcement of its task (row 18)", async () => {
    const bench: Bench = makeBench({
      handler: async (c) => {
        const early = await bench.worker.ack(c.var.requestWait.id, "parse", "a");
        expect(early.verdict).toBe("early");
        return registering(c);
      },
    });
    const response = await bench.post(WAIT);
    expect([response.status, (await response.json()).queueStatus]).toEqual([200, DONE]);
  });

  it("takes one round trip after the handler when all is done by then", async () => {
    const bench: Bench = makeBench({
      handler: async (c) => {
        await registering(c);
        await bench.worker.ack(c.var.requestWait.id, "parse", "a");
        return c.body(null, 204);
      },
    });
    const calls: string[] = [];
    tamper(bench.coordinator, (transition) => void calls.push(transition));
    const response = await bench.post(WAIT);
    expect([response.status, response.body]).toEqual([204, null]);
    expect(calls).toEqual(["request.register", "request.add", "request.ack", "request.seal"]);
  });

  it("costs one round trip when the client does not wait and the handler returns a final answer", async () => {
    const bench = makeBench({ handler: (c) => c.text("ok") });
    const calls: string[] = [];
    tamper(bench.coordinator, (transition) => void calls.push(transition));
    const response = await bench.post();
    expect([response.status, response.headers.get("location"), calls]).toEqual([200, null, ["request.register"]]);
  });

  it("is complete for a client that polls, though the handler registered nothing", async () => {
    const bench = makeBench({ handler: (c) => c.json({}, 202) });
    const accepted = await bench.post();
    expect((await (await bench.get(accepted.headers.get("location") ?? "")).json()).state).toBe("complete");
  });

  it("tells the same to a client that sends the request again after its end", async () => {
    const bench = makeBench();
    const headers = { ...WAIT, "x-request-id": "again" };
    const waiting = await held(bench.post(headers));
    await bench.worker.ack(idOf(bench), "parse", "a");
    const first = await (await waiting.response).json();
    const again = await bench.post(headers);
    expect([again.status, await again.json()]).toEqual([200, first]);
  });

  it("tells the end of one that a worker has cleaned up", async () => {
    const bench = makeBench();
    const waiting = await held(bench.post(WAIT));
    await bench.worker.ack(idOf(bench), "parse", "a");
    await bench.worker.remove(idOf(bench));
    expect((await waiting.response).status).toBe(200);
    const fast: Bench = makeBench({
      handler: async (c) => {
        const response = await registering(c);
        await fast.worker.ack(c.var.requestWait.id, "parse", "a");
        await fast.worker.seal(c.var.requestWait.id);
        await fast.worker.remove(c.var.requestWait.id);
        return response;
      },
    });
    const response = await fast.post(WAIT);
    expect([response.status, (await response.json()).queueStatus]).toEqual([200, DONE]);
  });
});

describe("a request that is not done in time", () => {
  it("is a gateway timeout where the application says so, and says where it goes on", async () => {
    const bench = makeBench({ onTimeout: "gateway-timeout", statusPath: "https://api.example/v1/requests/" });
    const waiting = await held(bench.post({ ...WAIT, "x-request-id": "a+b=c" }));
    await bench.clock.advance(10_000);
    const response = await waiting.response;
    expect([response.status, told(response)]).toEqual([
      504,
      {
        location: "https://api.example/v1/requests/a%2Bb%3Dc",
        "retry-after": "1",
        "preference-applied": "wait=10",
      },
    ]);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("x-request-id")).toBe("a+b=c");
    const { detail, ...problem } = await response.json();
    expect(problem).toEqual({
      type: "about:blank",
      title: "Gateway Timeout",
      status: 504,
      code: "wait_timeout",
      retryable: true,
      applied: "unknown",
    });
    expect(detail).toMatch(/not complete in time/);
  });

  it("keeps what middleware has said when it becomes a problem, and nothing of the handler's body", async () => {
    const cancelled = vi.fn();
    const bench = makeBench({
      onTimeout: "gateway-timeout",
      handler: async (c) => {
        await registering(c);
        const body = new ReadableStream({ cancel: cancelled });
        const headers = { etag: '"1"', "content-disposition": "attachment", "content-security-policy": "none" };
        return new Response(body, { headers: { ...headers, "set-cookie": "a=b", "content-length": "7" } });
      },
    });
    const { headers } = await bench.post({ prefer: "wait=0" });
    expect([headers.get("etag"), headers.get("content-disposition"), headers.get("content-length")]).toEqual([
      null,
      null,
      null,
    ]);
    expect([headers.get("set-cookie"), headers.get("content-security-policy")]).toEqual(["a=b", "none"]);
    expect(cancelled).toHaveBeenCalledOnce();
  });

  it("is a 202 for a client that takes one, whatever the application says", async () => {
    const bench = makeBench({ onTimeout: "gateway-timeout" });
    const waiting = await held(bench.post({ prefer: "respond-async, wait=1" }));
    await bench.clock.advance(1_000);
    expect((await waiting.response).status).toBe(202);
    expect((await bench.post({ prefer: "respond-async" })).status).toBe(202);
  });

  it.each([
    ["a 202 with its own", 202, "/jobs/1", "/jobs/1"],
    ["a 201 with the new resource", 201, "/documents/1", "/requests/r"],
    ["a 200 without", 200, undefined, "/requests/r"],
  ] as const)("points to the status: %s", async (_, status, own, location) => {
    const bench = makeBench({
      handler: async (c) => {
        await registering(c);
        return c.json({}, status, own === undefined ? {} : { location: own, "retry-after": "7" });
      },
    });
    const response = await bench.post({ prefer: "wait=0", "x-request-id": "r" });
    const retryAfter = own === undefined ? "1" : "7";
    expect([response.status, told(response)]).toMatchObject([202, { location, "retry-after": retryAfter }]);
  });

  it("is never called complete when the request is no more", async () => {
    const bench: Bench = makeBench({
      ttlSec: 1,
      handler: async (c) => {
        const response = await registering(c);
        await bench.clock.advance(5_000);
        return response;
      },
    });
    const response = await bench.post(WAIT);
    expect(response.status).toBe(202);
    expect((await bench.get(response.headers.get("location") ?? "")).status).toBe(404);
    expect(bench.events).toMatchObject([
      { type: "followup_failed", transition: "request.wait", error: { code: "conflict" } },
    ]);
  });

  it("outlives its TTL while it is waited for", async () => {
    const bench = makeBench({ ttlSec: 1 });
    const waiting = await held(bench.post(WAIT));
    await bench.clock.advance(9_000);
    await bench.worker.ack(idOf(bench), "parse", "a");
    expect((await waiting.response).status).toBe(200);
  });
});

describe("a request with a deadline", () => {
  it("times out, is no result for the client that waits, and the status routes say so", async () => {
    const bench = makeBench({ timeoutSec: 5 });
    const waiting = await held(bench.post({ ...WAIT, "x-request-id": "r" }));
    await bench.clock.advance(5_000);
    const response = await waiting.response;
    expect([response.status, await response.json()]).toEqual([202, { document: "a" }]);
    const status = await (await bench.get("/requests/r")).json();
    expect(status).toMatchObject({ state: "timed_out", final: true, open: 1, reason: "deadline" });
    expect(await bench.worker.ack(idOf(bench), "parse", "a")).toEqual({ verdict: "late", state: "timed_out" });
  });
});

describe("an answer that is passed on at once", () => {
  it.each([
    ["a refusal", (): Response => new Response("no", { status: 422 }), 422],
    ["a fault", (): Response => new Response("no", { status: 500 }), 500],
    ["a redirect", (): Response => Response.redirect("https://a.example/", 303), 303],
    [
      "an HTTPException",
      (): Response => {
        throw new HTTPException(418, { message: "no" });
      },
      418,
    ],
    [
      "an error",
      (): Response => {
        throw new Error("no");
      },
      500,
    ],
    [
      "a CoordinationError",
      (): Response => {
        throw new CoordinationError("conflict", "no");
      },
      409,
    ],
    [
      "an event stream",
      (): Response => new Response("data: 1\n\n", { headers: { "content-type": "text/event-stream" } }),
      200,
    ],
    ["a chunked stream", (): Response => new Response("{}", { headers: { "transfer-encoding": "chunked" } }), 200],
  ])("%s", async (_, handler, status) => {
    const bench = makeBench({
      handler: async (c) => {
        await registering(c);
        return handler();
      },
    });
    const calls: string[] = [];
    tamper(bench.coordinator, (transition) => void calls.push(transition));
    const response = await bench.post({ ...WAIT, "x-request-id": "r" });
    expect([response.status, told(response)["preference-applied"]]).toEqual([status, null]);
    expect(response.headers.get("x-request-id")).toBe("r");
    // A failed handler ends the wait of the other clients.
    const afterwards = status >= 400 ? ["request.abandon"] : [];
    expect(calls).toEqual(["request.register", "request.add", ...afterwards]);
  });
});

describe("a client that goes", () => {
  it("ends its wait, and leaves nothing behind", async () => {
    const bench = makeBench();
    const leaving = new AbortController();
    const waiting = await held(bench.post(WAIT, "/work", leaving.signal));
    expect([waiting.isHeld(), bench.clock.pending > 0]).toEqual([true, true]);
    leaving.abort();
    await waiting.response;
    expect([bench.clock.pending, bench.events]).toEqual([0, []]);
    // A client that polls finds it, sealed.
    await bench.worker.ack(idOf(bench), "parse", "a");
    expect(await bench.worker.add(idOf(bench), "parse", "b")).toMatchObject({ outcome: "late", added: [] });
  });

  it("while the handler is at work leaves a request that is sealed: it does not stay pending", async () => {
    const leaving = new AbortController();
    const bench = makeBench({
      handler: async (c) => {
        leaving.abort();
        return c.json({}, 202);
      },
    });
    await bench.post(WAIT, "/work", leaving.signal);
    expect((await bench.worker.status(idOf(bench)))?.state).toBe("complete");
    expect([bench.clock.pending, bench.events]).toEqual([0, []]);
  });

  it("while the handler is at work is no reason to hold on to a silent backend", async () => {
    const leaving = new AbortController();
    const bench = makeBench({
      handler: async (c) => {
        leaving.abort();
        return c.json({}, 202);
      },
    });
    tamper(bench.coordinator, (transition) => (transition === "request.seal" ? blackHole() : undefined));
    const waiting = await held(bench.post(WAIT, "/work", leaving.signal));
    await bench.clock.advance(999);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    await waiting.response;
    expect(bench.events).toMatchObject([{ type: "followup_failed", transition: "request.seal" }]);
  });

  it("does not begin what it has left already", async () => {
    const bench = makeBench();
    const response = await bench.post(WAIT, "/work", AbortSignal.abort());
    expect([response.status, bench.ids]).toEqual([499, []]);
  });
});

describe("a backend that fails", () => {
  const unavailable = () => new CoordinationError("backend_unavailable", "no answer", { retryable: true });

  it("before the handler: the handler does not run, and the client gets a Retry-After header", async () => {
    const bench = makeBench();
    tamper(bench.coordinator, (transition) =>
      transition === "request.register" ? Promise.reject(unavailable()) : undefined,
    );
    const response = await bench.post({ "x-request-id": "r" });
    expect([response.status, response.headers.get("retry-after"), response.headers.get("x-request-id")]).toEqual([
      503,
      "1",
      "r",
    ]);
    expect(await response.json()).toMatchObject({ code: "backend_unavailable", retryable: true });
    expect(bench.ids).toEqual([]);
  });

  it("before the handler, by silence: the same, within 10 s", async () => {
    const bench = makeBench();
    tamper(bench.coordinator, (transition) => (transition === "request.register" ? blackHole() : undefined));
    const waiting = await held(bench.post(WAIT));
    await bench.clock.advance(10_000);
    expect([(await waiting.response).status, bench.ids]).toEqual([503, []]);
  });

  it.each(["request.seal", "request.wait"])(
    "after the handler, in %s: the work was accepted, and its answer counts",
    async (step) => {
      const bench = makeBench();
      const error = unavailable();
      tamper(bench.coordinator, (transition) => (transition === step ? Promise.reject(error) : undefined));
      const response = await bench.post({ ...WAIT, "x-request-id": "r" });
      expect([response.status, response.headers.get("location"), await response.json()]).toEqual([
        202,
        "/requests/r",
        { document: "a" },
      ]);
      expect(bench.events).toEqual([{ type: "followup_failed", transition: step, id: RECORD_OF_R, error }]);
      expect(bench.clock.pending).toBe(0);
    },
  );

  it("after the handler, when the client did not ask to wait: the client gets the handler's answer", async () => {
    const bench = makeBench();
    tamper(bench.coordinator, (transition) =>
      transition === "request.seal" ? Promise.reject(unavailable()) : undefined,
    );
    const response = await bench.post();
    expect([response.status, bench.events.length]).toEqual([202, 1]);
  });

  it.each([
    ["request.seal", 1],
    ["request.wait", 0],
  ])("after the handler, by silence in %s: the answer comes when the wait is over", async (step, events) => {
    const bench = makeBench();
    tamper(bench.coordinator, (transition) => (transition === step ? blackHole() : undefined));
    const waiting = await held(bench.post({ prefer: "wait=60" }));
    await bench.clock.advance(19_999);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    expect((await waiting.response).status).toBe(202);
    expect([bench.events.length, bench.clock.pending]).toEqual([events, 0]);
  });

  it.each([
    ["respond-async", 1_000],
    ["wait=0", 1_000],
  ])("by silence, when the client does not wait: the seal has a second (%s)", async (prefer, limitMs) => {
    const bench = makeBench();
    tamper(bench.coordinator, (transition) => (transition === "request.seal" ? blackHole() : undefined));
    const waiting = await held(bench.post({ prefer }));
    await bench.clock.advance(limitMs - 1);
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1);
    expect((await waiting.response).status).toBe(202);
  });

  it("by silence, where the handler took all the time: the seal has a moment", async () => {
    const bench: Bench = makeBench({
      handler: async (c) => {
        const response = await registering(c);
        await bench.clock.advance(19_990);
        return response;
      },
    });
    tamper(bench.coordinator, (transition) => (transition === "request.seal" ? blackHole() : undefined));
    const waiting = await held(bench.post({ prefer: "wait=20" }));
    await bench.clock.advance(50);
    expect(waiting.isHeld()).toBe(false);
  });

  it("tells a hook that throws, to no harm", async () => {
    const bench = makeBench({
      onEvent: () => {
        throw new Error("hook");
      },
    });
    tamper(bench.coordinator, (transition) =>
      transition === "request.seal" ? Promise.reject(unavailable()) : undefined,
    );
    expect((await bench.post(WAIT)).status).toBe(202);
  });
});

describe("options out of range", () => {
  it("are refused when the middleware is made: no coordinator", () => {
    const make = () => requestWait({ coordinator: {} as Coordinator, stages: STAGES, scope: "public" });
    expect(make).toThrow(expect.objectContaining({ code: "misconfigured" }));
  });

  it.each(["/", "/v1/requests", "http://localhost:3000/requests", "https://api.example/requests"])(
    "do not include the statusPath %s",
    (statusPath) => {
      expect(() => makeBench({ statusPath })).not.toThrow();
    },
  );

  it.each([
    ["no stages", { stages: [] }, /stages/],
    ["a stage twice", { stages: ["a", "a"] }, /stages\[1\]/],
    ["a deadline below 0", { timeoutSec: -1 }, /timeoutSec/],
    ["a wait below 0", { maxWaitMs: -1 }, /maxWaitMs/],
    ["a wait of days", { maxWaitMs: 600_001 }, /maxWaitMs/],
    ["a short stream", { maxStreamMs: 999 }, /maxStreamMs/],
    ["a TTL of 0", { ttlSec: 0 }, /ttlSec/],
    ["another end", { onTimeout: "hang" as "accepted" }, /onTimeout/],
    ["a path without a slash", { statusPath: "requests" }, /statusPath must begin with .*http:/],
    ["a path with a line break", { statusPath: "/a\r\nb: c" }, /statusPath/],
    ["a field without a name", { queueStatusField: "" }, /queueStatusField/],
  ])("are refused when the middleware is made: %s", (_, options, message) => {
    const bench = makeBench();
    const make = () =>
      requestWait({
        coordinator: () => bench.coordinator,
        stages: STAGES as readonly string[],
        scope: () => "user",
        ...(options as object),
      });
    expect(make).toThrow(expect.objectContaining({ code: "invalid_input", message: expect.stringMatching(message) }));
  });
});

describe("the trace context of the client's request", () => {
  const TRACE = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

  it.each([
    [TRACE, TRACE],
    ["none", undefined],
  ])("is stored with the registration, unless it is invalid: %s", async (traceparent, stored) => {
    const bench = makeBench();
    const run = vi.spyOn(bench.coordinator, "run");
    await bench.post({ traceparent });
    const inputs = run.mock.calls.flatMap(([name, , input]) => (name === "request.register" ? [input] : []));
    expect(inputs.map((input) => (input as { traceparent?: string }).traceparent)).toEqual([stored]);
  });
});
