import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startWorker } from "../../dev/worker-host.js";
import { reached } from "../support/figures.js";
import { type Client, clientOf, TOKEN } from "./client.js";

/** How many objects have made their tables: a platform's empty file is none. */
function tablesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => join(folder, name))
    .filter((path) => [`${path}-wal`, path].some(holdsTables)).length;
}

/** An object that is put away moves its log into its file, and removes the log: so the log is looked at first. */
function holdsTables(path: string): boolean {
  try {
    return readFileSync(path, "latin1").includes("CREATE TABLE records");
  } catch {
    return false;
  }
}

/** Runs a test on a Worker whose objects are files. */
async function withFolder(test: (call: Client, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "edge-coordinator-"));
  const worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN }, persistDir: folder });
  try {
    await test(clientOf(worker.url), folder);
  } finally {
    await worker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

it("reading unwritten ids stores nothing, and neither does a refused call", ({ task }) =>
  withFolder(async (client, folder) => {
    let calls = 0;
    const call: Client = (...given) => {
      calls += 1;
      return client(...given);
    };
    await call("GET", "/v1/groups/a");
    await call("GET", "/v1/groups/b", { headers: { prefer: "wait=1" } });
    await call("GET", "/v1/groups/c/results");
    await call("POST", "/v1/groups/d/cancel", { body: { reason: "" } });
    await call("POST", "/v1/groups/e/redeliver");
    await call("POST", "/v1/groups/f/decrement", { body: {} });
    await call("POST", "/v1/groups/f/tasks", { body: { tasks: ["a"] } });
    await call("POST", "/v1/groups/f/seal");
    await call("POST", "/v1/groups/f/retry", { body: { tasks: ["a"] } });
    await call("POST", "/v1/groups/f/extend", { body: { timeoutSec: 5 } });
    await call("POST", "/v1/groups/f/heartbeat");
    await call("GET", "/v1/groups/f/tasks");
    await call("GET", "/v1/groups/f/events");
    await call("DELETE", "/v1/groups/f");
    await call("PUT", "/v1/groups/g", { body: { total: 1, restart: { from: 1 } } });
    await call("PUT", "/v1/groups/h", { body: { total: -1 } });
    await call("PUT", "/v1/groups/i", { body: { total: 1 }, token: "a-token-that-is-unknown" });
    for (const read of ["kv/getInt", "kv/scard", "kv/lrange", "completion/status"]) {
      await call("POST", `/v1/run/${read}`, { body: { id: "j", input: {} } });
    }
    const reads = ["kv.getInt", "kv.scard", "completion.status", "completion.woken", "no.such"];
    const operations = reads.map((transition) => ({ transition, id: "l", input: {} }));
    await call("POST", "/v1/batch", { body: { operations } });
    await requestsOfNobody(call);
    await smallThingsOfNobody(call);
    const tables = tablesIn(folder);
    reached(task, {
      row: "S8",
      backend: "durable-object",
      reached: `${calls} reads of unknown ids, and refusals: ${tables} tables`,
    });
    expect(tables).toBe(0);
    await call("PUT", "/v1/groups/k", { body: { total: 1 } });
    expect(tablesIn(folder)).toBe(1);
  }));

/** The id of a small record, as its tracker joins it: a namespace, and a key. */
const joined = (namespace: string, key: string) => `${namespace.length}:${namespace}${key.length}:${key}`;

it(
  "claims and versions of a namespace share 64 objects; requests and namespaces of counts have one each",
  () =>
    withFolder(async (call, folder) => {
      const input = { op: "op", ttlMs: 60_000 };
      const run = (path: string, id: string, more = {}) =>
        call("POST", `/v1/run/${path}`, { body: { id, input: { ...input, ...more } } });
      let before = 0;
      const made = (): number => {
        const all = tablesIn(folder);
        const more = all - before;
        before = all;
        return more;
      };
      for (const path of ["dedupe/claim", "coalesce/next"]) {
        for (let i = 0; i < 300; i += 10) {
          await Promise.all(Array.from({ length: 10 }, (_, n) => run(path, joined("a", `key-${i + n}`))));
        }
        expect(made()).toBe(64);
        await run(path, joined("b", "key-0"));
        expect(made()).toBe(1);
      }
      for (let i = 0; i < 5; i++) await call("PUT", `/v1/requests/request-${i}`);
      expect(made()).toBe(5);
      const merged = { processed: 1, requeueCount: 0, errorCount: 0, maxTracked: 100 };
      for (let i = 0; i < 5; i++)
        await run("stats/merge", joined("a", "0"), { ...merged, op: `op-${i}`, id: `id-${i}` });
      expect(made()).toBe(1);
    }),
  60_000,
);

/** Everything that can be done with a request, but for its registration; and registrations that are refused. */
async function requestsOfNobody(call: Client): Promise<void> {
  await call("GET", "/v1/requests/a");
  await call("GET", "/v1/requests/b", { headers: { prefer: "wait=1" } });
  await call("POST", "/v1/requests/c/tasks", { body: { stage: "s", taskIds: ["a"] } });
  await call("POST", "/v1/requests/e/seal");
  await call("POST", "/v1/requests/e/counts", { body: { stage: "s", processed: 1 } });
  await call("POST", "/v1/requests/e/cancel", { body: { reason: "" } });
  await call("GET", "/v1/requests/e/tasks");
  await call("GET", "/v1/requests/e/events");
  await call("DELETE", "/v1/requests/f");
  await call("PUT", "/v1/requests/g", { body: { ttlSec: 0 } });
  await call("PUT", "/v1/requests/h", { token: "a-token-that-is-unknown" });
  const count = { op: "op", stage: "s", processed: 1 };
  await call("POST", "/v1/run/request/count", { body: { id: "i", input: count } });
  await call("POST", "/v1/run/request/ack", {
    body: { id: "i", input: { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 0 } },
  });
  await call("POST", "/v1/watch/request/wait", { body: { id: "j", input: {}, timeoutMs: 100 } });
  await call("POST", "/v1/watch/request/progress", { body: { id: "k", input: { after: "" }, timeoutMs: 100 } });
}

/** Reads of versions, claims and counts, and writes that find nothing to change. */
async function smallThingsOfNobody(call: Client): Promise<void> {
  for (const [transition, input] of [
    ["coalesce/seen", { version: 1, ttlMs: 60_000 }],
    ["dedupe/release", { op: "op", holder: "other" }],
    ["stats/consume", { op: "op", id: "a" }],
    ["dedupe/claim", { op: "", ttlMs: 60_000 }],
  ] as const) {
    await call("POST", `/v1/run/${transition}`, { body: { id: "1:n1:k", input } });
  }
}
