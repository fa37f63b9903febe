import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { preferredWaitSec } from "../../worker/prefer.js";
import { expectSoon } from "../support/expect-soon.js";
import { reached } from "../support/figures.js";
import { type Client, clientOf, freshId, TOKEN } from "./client.js";

/**
 * The Worker, and a request whose caller goes away: workerd alone does not tell a Worker that a connection was closed
 * while it waits, so the signal that production would abort is aborted here.
 */
const ABORTING = `
  import worker from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  export default {
    async fetch(request, env) {
      const afterMs = Number(request.headers.get("x-abort-after-ms"));
      if (!(afterMs > 0)) return worker.fetch(request, env);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), afterMs);
      const answer = await worker.fetch(new Request(request, { signal: controller.signal }), env);
      return Response.json({ status: answer.status });
    },
  };
`;

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN }, source: ABORTING });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

async function timed<T>(work: Promise<T>): Promise<readonly [T, number]> {
  const startedMs = performance.now();
  return [await work, performance.now() - startedMs];
}

interface Asking {
  readonly headers?: Record<string, string>;
  readonly body?: object;
}

async function openGroup(): Promise<string> {
  const path = `/v1/groups/${freshId()}`;
  await call("PUT", path, { body: { tasks: ["a"] } });
  return path;
}

const ackOf = (path: string) => call("POST", `${path}/acks`, { body: { tasks: [{ id: "a" }] } });
const waitOn = (path: string, sec: number, more: { signal?: AbortSignal } = {}) =>
  call("GET", path, { headers: { prefer: `wait=${sec}` }, ...more });
/** How long a request takes whose caller goes away after 0.2 s. */
async function leftAfterMs(method: string, path: string, { headers, body }: Asking): Promise<number> {
  const leaving = { ...headers, "x-abort-after-ms": "200" };
  const [{ json }, tookMs] = await timed(
    call(method, path, { headers: leaving, ...(body === undefined ? {} : { body }) }),
  );
  expect(json.status).toBe(499);
  return tookMs;
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("GET with Prefer: wait", () => {
  it("answers when the group ends", async () => {
    await expectSoon(1_500, async () => {
      const path = await openGroup();
      const waiting = timed(waitOn(path, 30));
      await pause(150);
      await ackOf(path);
      const [{ status, json, headers }, tookMs] = await waiting;
      expect([status, json.state]).toEqual([200, "completed"]);
      expect(headers.get("preference-applied")).toBe("wait=30");
      return tookMs;
    });
  });

  it("answers with the open group when the wait is over", async () => {
    const path = await openGroup();
    await expectSoon(1_500, async () => {
      const [{ status, json, headers }, tookMs] = await timed(waitOn(path, 1));
      expect([status, json.state]).toEqual([200, "open"]);
      expect(headers.get("preference-applied")).toBe("wait=1");
      expect(tookMs).toBeGreaterThan(990);
      return tookMs;
    });
  });

  it("waits for a registration that is still to come, and in the end says that there was none", async () => {
    const path = `/v1/groups/${freshId()}`;
    const waiting = waitOn(path, 10);
    await ackOf(path);
    await call("PUT", path, { body: { tasks: ["a"] } });
    expect((await waiting).json.state).toBe("completed");
    expect((await waitOn(`/v1/groups/${freshId()}`, 1)).status).toBe(404);
  });

  it("looks once for wait=0, and does not wait without the wish", async () => {
    const path = await openGroup();
    await expectSoon(500, async () => {
      const [answer, tookMs] = await timed(waitOn(path, 0));
      expect([answer.json.state, answer.headers.get("preference-applied")]).toEqual(["open", "wait=0"]);
      return tookMs;
    });
    expect((await call("GET", path)).headers.get("preference-applied")).toBeNull();
  });

  it("grants a minute at most", async () => {
    const path = await openGroup();
    const waiting = waitOn(path, 86_400);
    await pause(50);
    await ackOf(path);
    expect((await waiting).headers.get("preference-applied")).toBe("wait=60");
  });

  it("ends when its caller goes away", async () => {
    const path = await openGroup();
    await expectSoon(1_000, () => leftAfterMs("GET", path, { headers: { prefer: "wait=30" } }));
    const body = { id: "x", input: {} };
    await expectSoon(1_000, () => leftAfterMs("POST", "/v1/watch/completion/wait", { body }));
  });

  it("goes on for a second waiter of the same isolate, when the first has gone away", async ({ task }) => {
    const path = await openGroup();
    const leaving = new AbortController();
    const first = waitOn(path, 30, { signal: leaving.signal }).catch(() => "gone");
    const second = waitOn(path, 30);
    const early = call("GET", path, { headers: { prefer: "wait=30", "x-abort-after-ms": "100" } });
    await pause(200);
    leaving.abort();
    expect([await first, (await early).json.status]).toEqual(["gone", 499]);
    const third = waitOn(path, 30);
    await pause(100);
    await ackOf(path);
    expect([(await second).json.state, (await third).json.state]).toEqual(["completed", "completed"]);
    const what = "requests of one isolate wait through one coordinator, and the first ends early";
    reached(task, { row: "fault 39", backend: "durable-object", reached: what });
  });

  it("wakes many waiters with one ack", async () => {
    const path = await openGroup();
    const waiting = Array.from({ length: 40 }, () => waitOn(path, 30));
    await pause(200);
    await ackOf(path);
    const states = (await Promise.all(waiting)).map(({ json }) => json.state);
    expect(new Set(states)).toEqual(new Set(["completed"]));
  });
});

async function pendingRequest(): Promise<string> {
  const path = `/v1/requests/${freshId()}`;
  await call("PUT", path);
  await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a"] } });
  return path;
}

const doneOf = (path: string) => call("POST", `${path}/acks`, { body: { stage: "s", taskId: "a" } });

describe("GET of a request with Prefer: wait", () => {
  it("answers when the last task is acked, many waiters at once", async () => {
    await expectSoon(2_000, async () => {
      const path = await pendingRequest();
      const waiting = Array.from({ length: 40 }, () => timed(waitOn(path, 30)));
      await pause(200);
      await doneOf(path);
      const answers = await Promise.all(waiting);
      for (const [{ status, json, headers }] of answers) {
        expect([status, json.state, json.queueStatus.s?.processed]).toEqual([200, "complete", 1]);
        expect(headers.get("preference-applied")).toBe("wait=30");
      }
      return Math.max(...answers.map(([, tookMs]) => tookMs));
    });
  });

  it("answers with the pending request when the wait is over", async () => {
    const path = await pendingRequest();
    await expectSoon(1_500, async () => {
      const [{ status, json, headers }, tookMs] = await timed(waitOn(path, 1));
      expect([status, json.state]).toEqual([200, "pending"]);
      expect(headers.get("preference-applied")).toBe("wait=1");
      expect(tookMs).toBeGreaterThan(990);
      return tookMs;
    });
  });

  it("does not wait for an unregistered request, and gets the end of a request that is removed meanwhile", async () => {
    await expectSoon(500, async () => {
      const [unknown, tookMs] = await timed(waitOn(`/v1/requests/${freshId()}`, 30));
      expect([unknown.status, unknown.json.code]).toEqual([404, "not_found"]);
      return tookMs;
    });
    await expectSoon(1_500, async () => {
      const path = await pendingRequest();
      const waiting = timed(waitOn(path, 30));
      await pause(150);
      await call("DELETE", path);
      const [gone, tookMs] = await waiting;
      expect([gone.status, gone.json.state]).toEqual([200, "cancelled"]);
      expect((await call("GET", path)).status).toBe(404);
      return tookMs;
    });
  });

  it("still returns the end of a request that was removed just now to a client that waits, and to no other", async () => {
    const path = await pendingRequest();
    await doneOf(path);
    await call("DELETE", path);
    const { status, json } = await waitOn(path, 30);
    expect([status, json.state, json.queueStatus.s?.processed]).toEqual([200, "complete", 1]);
    expect((await call("GET", path)).status).toBe(404);
  });

  it("looks once for wait=0, does not wait without the wish, and grants a minute at most", async () => {
    const path = await pendingRequest();
    await expectSoon(500, async () => {
      const [answer, tookMs] = await timed(waitOn(path, 0));
      expect([answer.json.state, answer.headers.get("preference-applied")]).toEqual(["pending", "wait=0"]);
      return tookMs;
    });
    expect((await call("GET", path)).headers.get("preference-applied")).toBeNull();
    const waiting = waitOn(path, 86_400);
    await pause(50);
    await doneOf(path);
    expect((await waiting).headers.get("preference-applied")).toBe("wait=60");
  });

  it("keeps a request that lives shorter than the wait", async () => {
    const path = `/v1/requests/${freshId()}`;
    // The waiter looks each quarter of that: a machine that is busy for less than the rest of it costs the request nothing.
    await call("PUT", path, { body: { ttlSec: 4 } });
    await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["a"] } });
    const [{ status, json }, tookMs] = await timed(waitOn(path, 6));
    expect([status, json.state]).toEqual([200, "pending"]);
    expect(tookMs).toBeGreaterThan(5_990);
  });

  it("ends when its caller goes away", async () => {
    const path = await pendingRequest();
    await expectSoon(1_000, () => leftAfterMs("GET", path, { headers: { prefer: "wait=30" } }));
  });
});

describe("the wish", () => {
  it.each([
    [undefined, undefined],
    ["", undefined],
    ["respond-async", undefined],
    ["wait", undefined],
    ["wait=", undefined],
    ["wait=x", undefined],
    ["wait=-1", undefined],
    ["wait=1.5", undefined],
    ["waiting=5", undefined],
    ['foo="a, wait=5"', undefined],
    ['foo="unclosed, wait=5', undefined],
    ['foo="a\\"b", wait=5', 5],
    ["wait=5", 5],
    ["WAIT = 5", 5],
    ['wait="5"', 5],
    ["respond-async, wait=5", 5],
    ["wait=5; strict", 5],
    ["wait=5, wait=9", 5],
    ["wait=soon, wait=9", 9],
    ["wait=60", 60],
    ["wait=61", 60],
    [`wait=${"9".repeat(400)}`, 60],
  ])("%j is %s", (header, seconds) => {
    expect(preferredWaitSec(header)).toBe(seconds);
  });

  it("is read in time that grows with its length alone", () => {
    return expectSoon(500, async () => {
      const startedMs = performance.now();
      for (const part of ['"', '"\\', ",", '","', "wait="]) preferredWaitSec(part.repeat(20_000));
      return performance.now() - startedMs;
    });
  });
});
