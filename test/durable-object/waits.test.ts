import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker, type GroupStatus } from "../../src/index.js";
import { count, reached } from "../support/figures.js";
import { KillableWorker } from "../support/killable-worker.js";

/** Waits in the objects of a real workerd, with real connections. */

const TOKEN = "a-token-for-tests";
/** What Cloudflare gives an isolate. */
const HEAP_MB = 128;

/** The Worker as it is deployed, and a route that tells how many waits a group's object holds, and how many were left. */
const SOURCE = `
  import worker, { CoordinatorWorkerObject } from "./worker/index.js";

  export class CountingObject extends CoordinatorWorkerObject {
    left = 0;
    leave(ticket) {
      this.left++;
      super.leave(ticket);
    }
    waits() {
      return { open: this.watching, left: this.left };
    }
  }

  export default {
    async fetch(request, env, ctx) {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith("/waits/")) return worker.fetch(request, env, ctx);
      const name = "coord:{completion}" + pathname.slice("/waits/".length);
      return Response.json(await env.COORDINATOR.get(env.COORDINATOR.idFromName(name)).waits());
    },
  };
`;

let worker: KillableWorker;
afterEach(() => worker.close());

async function start(heapMb?: number): Promise<CompletionTracker> {
  const options = { vars: { COORDINATOR_TOKEN: TOKEN }, source: SOURCE, className: "CountingObject" };
  worker = await KillableWorker.start(heapMb === undefined ? options : { ...options, heapMb });
  return client();
}

function client(): CompletionTracker {
  return new CompletionTracker(new HttpCoordinator({ url: worker.url, token: TOKEN }));
}

async function waitsOf(groupId: string): Promise<{ readonly open: number; readonly left: number }> {
  return (await (await fetch(`${worker.url}/waits/${groupId}`)).json()) as { open: number; left: number };
}

/** A client that waits over a socket of its own. */
async function waitOver(path: string, { method = "GET", body = "" } = {}) {
  const { hostname, port } = new URL(worker.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  const head = [
    `${method} ${path} HTTP/1.1`,
    `host: ${hostname}`,
    `authorization: Bearer ${TOKEN}`,
    "prefer: wait=60",
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  return socket;
}

describe("a client that leaves", () => {
  it.each([
    ["Prefer: wait", "/v1/groups/g", {}],
    ["a client library", "/v1/watch/completion/wait", { method: "POST", body: JSON.stringify({ id: "g", input: {} }) }],
  ])("row 53: ends its wait in the object, and no other (%s)", async (_, path, request) => {
    const tracker = await start();
    await tracker.register("g", ["a"]);
    const staying = tracker.wait("g", { timeoutMs: 600_000 });
    const sockets = await Promise.all(Array.from({ length: 30 }, () => waitOver(path, request)));
    await expect.poll(() => waitsOf("g")).toEqual({ open: 31, left: 0 });
    // A connection that is closed in good order is noticed by workerd when it answers, one that is reset at once.
    for (const socket of sockets) socket.resetAndDestroy();
    await expect.poll(() => waitsOf("g")).toEqual({ open: 1, left: 30 });
    await tracker.ack("g", "a");
    expect((await staying)?.state).toBe("completed");
  });
});

describe("the one timer of an object's waits", () => {
  it("row 51: outlives the request that set it", async () => {
    await start();
    const watch = (timeoutMs: number) => ({ method: "POST", body: JSON.stringify({ id: "g", input: {}, timeoutMs }) });
    const path = "/v1/watch/completion/wait";
    // The first wait sets the timer, the second is to end by it, and a third comes once the first has left.
    const first = await waitOver(path, watch(25_000));
    await expect.poll(() => waitsOf("g")).toEqual({ open: 1, left: 0 });
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    const second = fetch(`${worker.url}${path}`, { ...watch(4_000), headers });
    await expect.poll(async () => (await waitsOf("g")).open).toBe(2);
    first.resetAndDestroy();
    await expect.poll(async () => (await waitsOf("g")).left).toBe(1);
    const third = fetch(`${worker.url}${path}`, { ...watch(1_000), headers });
    for (const answer of await Promise.all([second, third]))
      expect(await answer.json()).toEqual({ protocol: 1, output: null });
    expect((await waitsOf("g")).open).toBe(0);
  });
});

/** 64 tasks in 64 stages, whose names and errors take six times their bytes in JSON, as control characters do. */
const LARGE_TASKS = Array.from({ length: 64 }, (_, i) => {
  const prefix = String(i).padStart(3, "0");
  return { stage: prefix.padEnd(64, "\u0001"), id: prefix.padEnd(253, "\u0001") };
});

describe("an end that many wait for", () => {
  it("row 52: leaves an isolate of 128 MB alive, with 1,200 waiters and a status of 130 KB", async ({ task }) => {
    const WAITERS = 1_200;
    const tracker = await start(HEAP_MB);
    // The metadata is a JSON text in the JSON of an answer: there a quote takes four bytes.
    await tracker.register("g", LARGE_TASKS, { metadata: '"'.repeat(8_190) });
    const failures = LARGE_TASKS.slice(1).map((ref) => ({ ...ref, error: "\u0001".repeat(1_024) }));
    for (let i = 0; i < failures.length; i += 20) await tracker.ack("g", failures.slice(i, i + 20));
    const answer = await fetch(`${worker.url}/v1/run/completion/status`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ id: "g", input: {} }),
    });
    expect((await answer.text()).length).toBeGreaterThan(130_000);
    const waits: Promise<GroupStatus | null>[] = [];
    while (waits.length < WAITERS) {
      // Each is a client of its own: those of one coordinator would share a connection.
      waits.push(...Array.from({ length: 100 }, () => client().wait("g", { timeoutMs: 600_000 })));
      // A client whose long poll is over has none for a moment: on a busy machine there are always some.
      const most = 0.9 * waits.length;
      await expect.poll(async () => (await waitsOf("g")).open).toBeGreaterThan(most);
    }
    const beforeMb = worker.rssMb();
    await tracker.ack("g", LARGE_TASKS[0] ?? "");
    let mostMb = 0;
    let isOver = false;
    const all = Promise.all(waits).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      mostMb = Math.max(mostMb, worker.rssMb());
      await Promise.race([all, sleep(50)]);
    }
    const statuses = await all;
    expect(worker.isAlive).toBe(true);
    const isWhole = (end: GroupStatus | null): boolean =>
      end?.state === "completed" &&
      end.errors.length === 20 &&
      end.errorCount === 63 &&
      JSON.stringify(end).length > 115_000;
    expect(statuses.every(isWhole)).toBe(true);
    reached(task, {
      row: "fault 52",
      backend: "durable-object",
      reached: `${count(WAITERS)} waiters of a status of 130 KB: ${count(Math.round(mostMb - beforeMb))} MB more at most`,
    });
  });
});
