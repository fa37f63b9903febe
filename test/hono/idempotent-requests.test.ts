import { describe, expect, it } from "vitest";
import { idempotentRequests, requestStatusRoutes, requestWait } from "../../src/hono/index.js";
import { RequestWaitTracker } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { type BenchOptions, makeBench, RECORD_OF_R, registering, STAGES } from "./bench.js";
import { gate, refused } from "./idempotency-app.js";

/** An application whose `POST /work` runs once a key, and what its handler was called with. */
function makeOnce(options: BenchOptions = {}, once: Parameters<typeof idempotentRequests>[0] = {}) {
  return makeBench({ idempotency: idempotentRequests(once), ...options });
}

const KEY = { "idempotency-key": "r" };
const done = (bench: ReturnType<typeof makeOnce>) => bench.worker.ack(RECORD_OF_R, "parse", "a");
const isReplay = (response: Response) => response.headers.get("idempotency-replayed") === "true";

describe("requestWait with idempotency", () => {
  it("gives a duplicate the 202, and the wait is done anew", async () => {
    const bench = makeOnce();
    const first = await bench.post(KEY);
    expect([first.status, first.headers.get("location"), isReplay(first)]).toEqual([202, "/requests/r", false]);
    const again = await bench.post(KEY);
    expect([again.status, again.headers.get("location"), isReplay(again)]).toEqual([202, "/requests/r", true]);
    const waiting = bench.post({ ...KEY, prefer: "wait=10" });
    await settle();
    await done(bench);
    const end = await waiting;
    expect([end.status, isReplay(end), end.headers.get("x-request-id")]).toEqual([200, true, "r"]);
    expect(await end.json()).toMatchObject({ document: "a", queueStatus: { parse: { processed: 1 } } });
    expect(bench.ids).toHaveLength(1);
  });

  it("keeps the handler's own 202, not the result of the first client's wait", async () => {
    const bench = makeOnce();
    const waiting = bench.post({ ...KEY, prefer: "wait=10" });
    await settle();
    const async = await bench.post({ ...KEY, prefer: "respond-async" });
    expect([async.status, isReplay(async)]).toEqual([202, true]);
    await done(bench);
    expect((await waiting).status).toBe(200);
    expect(await (await bench.post(KEY)).json()).toEqual({ document: "a" });
    expect(bench.ids).toHaveLength(1);
  });

  it("never registers at a replay", async () => {
    const bench = makeOnce();
    await bench.post(KEY);
    const names: string[] = [];
    const run = bench.coordinator.run.bind(bench.coordinator);
    bench.coordinator.run = ((name: string, ...rest: unknown[]) => {
      names.push(name);
      return (run as (...all: unknown[]) => unknown)(name, ...rest);
    }) as typeof run;
    await bench.post({ ...KEY, prefer: "respond-async" });
    expect(names).toEqual(["dedupe.begin", "request.seal"]);
  });

  it("answers 409 with Location while the handler runs", async () => {
    const { passed, open } = gate();
    const bench = makeOnce({
      handler: async (c) => {
        await passed;
        return registering(c);
      },
    });
    const first = bench.post(KEY);
    await expect.poll(() => bench.ids.length).toBe(1);
    const second = await bench.post(KEY);
    expect([second.headers.get("location"), second.headers.get("x-request-id")]).toEqual(["/requests/r", "r"]);
    expect(await refused(second)).toEqual([409, "in_progress"]);
    open();
    expect((await first).status).toBe(202);
  });

  it("runs the handler again after a crash between add and its response, for one job", async () => {
    const bench = makeOnce({
      handler: async (c) => {
        const response = await registering(c);
        return bench.ids.length === 1 ? new Promise<Response>(() => {}) : response;
      },
    });
    bench.post(KEY);
    await expect.poll(() => bench.ids.length).toBe(1);
    await bench.clock.advance(30_001);
    expect((await bench.post(KEY)).status).toBe(202);
    await done(bench);
    expect(await bench.worker.status(RECORD_OF_R)).toMatchObject({ final: true, stages: { parse: { total: 1 } } });
    expect(bench.ids).toHaveLength(2);
  });

  it("answers 422 to another payload, and touches nothing", async () => {
    const bench = makeOnce();
    await bench.post(KEY);
    expect(await refused(await bench.post(KEY, "/work?other"))).toEqual([422, "mismatch"]);
    expect(bench.ids).toHaveLength(1);
  });

  it.each([202, 201, 303])(
    "runs no second job when the key has expired and its request is kept: %d",
    async (status) => {
      const bench = makeOnce(
        {
          ttlSec: "30d",
          handler: async (c) => {
            await c.var.requestWait.add("parse", "a");
            return c.body(null, status as 201);
          },
        },
        { ttlSec: "1h" },
      );
      await bench.post(KEY);
      await bench.clock.advance(3_600_001);
      const late = await bench.post(KEY);
      expect(late.headers.get("location")).toBe("/requests/r");
      expect(await refused(late)).toEqual([409, "result_not_kept"]);
      expect(await refused(await bench.post(KEY))).toEqual([409, "result_not_kept"]);
      expect(bench.ids).toHaveLength(1);
    },
  );

  it("keeps the request for as long as its key", async () => {
    const bench = makeOnce({ ttlSec: 60 }, { ttlSec: "1d" });
    await bench.post(KEY);
    await done(bench);
    await bench.clock.advance(86_000_000);
    const late = await bench.post({ ...KEY, prefer: "wait=1" });
    expect([late.status, isReplay(late)]).toEqual([200, true]);
  });

  it("runs a failed handler again, in a new registration", async () => {
    const bench = makeOnce({
      handler: async (c) => (bench.ids.length === 1 ? c.text("no", 500) : registering(c)),
    });
    expect((await bench.post(KEY)).status).toBe(500);
    expect((await bench.worker.status(RECORD_OF_R))?.state).toBe("cancelled");
    expect((await bench.post(KEY)).status).toBe(202);
    expect(await bench.worker.status(RECORD_OF_R)).toMatchObject({ state: "pending", reason: null });
  });

  it("replays a 4xx that is kept, and waits for nothing", async () => {
    const bench = makeOnce({ handler: (c) => c.text("gone", 410) });
    await bench.post(KEY);
    const again = await bench.post({ ...KEY, prefer: "wait=10" });
    expect([again.status, isReplay(again), bench.ids.length]).toEqual([410, true, 1]);
  });

  it("takes no X-Request-Id as a key, and runs requests without a key each time", async () => {
    const bench = makeOnce();
    const headers = { "x-request-id": "trace" };
    const ids = [await bench.post(headers), await bench.post(headers)].map((r) => r.headers.get("x-request-id"));
    expect([new Set(ids).size, ids.includes("trace"), bench.ids.length]).toEqual([2, false, 2]);
  });

  it("requires a key, where it is asked to", async () => {
    const bench = makeOnce({}, { required: true });
    expect(await refused(await bench.post())).toEqual([400, "malformed"]);
    expect(bench.ids).toHaveLength(0);
  });

  it("shows the run to the handler", async () => {
    const runs: unknown[] = [];
    const bench = makeOnce({
      handler: (c) => {
        runs.push(c.var.requestWait.idempotency);
        return registering(c);
      },
    });
    await bench.post(KEY);
    await bench.post();
    expect(runs).toEqual([{ key: "r", fencingToken: expect.any(Number), signal: expect.any(AbortSignal) }, undefined]);
  });

  it.each(["a/b:c", "tenant:4711", "../x", "a b?c#d"])(
    "names its public id, by which the status routes find it: %s",
    async (key) => {
      const bench = makeOnce();
      const first = await bench.post({ "idempotency-key": key });
      const publicId = first.headers.get("x-request-id") ?? "";
      const location = first.headers.get("location") ?? "";
      expect(location).toBe(`/requests/${encodeURIComponent(publicId)}`);
      for (const path of [location, `/requests/${encodeURIComponent(key)}`]) {
        const status = await bench.get(path);
        expect([status.status, await status.json()]).toMatchObject([200, { id: publicId, state: "pending" }]);
      }
      expect(isReplay(await bench.post({ "idempotency-key": key }))).toBe(true);
    },
  );

  it("is refused in the public scope, and as a plain object", () => {
    const bench = makeBench();
    const options = { coordinator: bench.coordinator, stages: STAGES, scope: () => "u" };
    const idempotency = idempotentRequests();
    expect(() => requestWait({ ...options, scope: "public", idempotency })).toThrow(/^idempotency must be left out/);
    expect(() => requestWait({ ...options, idempotency: {} as never })).toThrow(/^idempotency must be what/);
    expect(() => requestStatusRoutes({ ...options, idempotency })).not.toThrow();
    expect(() => idempotentRequests({ scope: "u" } as never)).toThrow(/unknown field/);
    expect(new RequestWaitTracker(bench.coordinator, { stages: STAGES }).stages).toEqual(STAGES);
  });
});
