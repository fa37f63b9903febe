import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { EdgeVM } from "@edge-runtime/vm";
import { createAdaptorServer } from "@hono/node-server";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type InstalledExample, installedExample } from "../support/packed.js";
import type {} from "../support/provided.js";
import { eventually, typeErrors } from "./example.js";
import { type NodeServer, startServer } from "./node-example.js";

const SECRET = "a-secret-of-the-test";
const AUTH = { authorization: "Bearer a-token-of-the-test" };
const DOCUMENT = "The first paragraph.\n\nThe second one.";

/** A server of the test's own, for what the example calls. */
async function listen(fetch: (request: Request) => Response | Promise<Response>): Promise<NodeServer> {
  const server = createAdaptorServer({ fetch }) as Server;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kill = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, kill };
}

/** Keeps what the example publishes to QStash, until the test has it delivered. */
class Queue {
  readonly #kept: { url: string; headers: Record<string, string>; body: string }[] = [];

  async take(request: Request): Promise<Response> {
    const { headers } = request;
    if (headers.get("authorization") !== "Bearer qstash-token") return new Response(null, { status: 401 });
    const { pathname } = new URL(request.url);
    const authorization = headers.get("upstash-forward-authorization") ?? "";
    const forwarded = { "content-type": headers.get("content-type") ?? "", authorization };
    this.#kept.push({ url: pathname.replace("/v2/publish/", ""), headers: forwarded, body: await request.text() });
    return Response.json({ messageId: "message" }, { status: 201 });
  }

  /** The chunks of one document, each as a function that delivers it once; they are all there before any is delivered. */
  async chunksOf(id: string, count: number): Promise<(() => Promise<{ verdict: string; remaining: number }>)[]> {
    return eventually(async () => {
      // The scope is a prefix of the id.
      const own = this.#kept.filter(({ body }) => JSON.parse(body).documentId.endsWith(id));
      if (own.length < count) return undefined;
      return own.map(({ url, headers, body }) => async () => {
        const response = await fetch(url, { method: "POST", headers, body });
        expect(response.status).toBe(200);
        return (await response.json()) as { verdict: string; remaining: number };
      });
    });
  }
}

/** Receives finished documents: each call by its document and its key. */
class Publications {
  readonly #calls: { readonly document: string; readonly key: string | null; readonly chunks: number }[] = [];

  /** What comes to /stalled is never answered. */
  async take(request: Request): Promise<Response> {
    const { document, chunks } = (await request.json()) as { document: string; chunks: number };
    this.#calls.push({ document, chunks, key: request.headers.get("idempotency-key") });
    return request.url.endsWith("/stalled") ? new Promise(() => {}) : new Response(null, { status: 204 });
  }

  of(document: string) {
    return this.#calls.filter((call) => call.document === document);
  }
}

const queue = new Queue();
const publications = new Publications();
let example: InstalledExample;
let queueServer: NodeServer;
let publisher: NodeServer;
beforeAll(async () => {
  queueServer = await listen((request) => queue.take(request));
  publisher = await listen((request) => publications.take(request));
  example = await installedExample("vercel");
  const lines = Object.entries(redis()).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(example.folder, ".env"), lines.join(""));
});
afterAll(async () => {
  await queueServer?.kill();
  await publisher?.kill();
  await example?.remove();
});

type Env = Readonly<Record<string, string>>;

const redis = (): Env => ({
  UPSTASH_REDIS_REST_URL: inject("restUrl"),
  UPSTASH_REDIS_REST_TOKEN: inject("restToken"),
  API_TOKEN: "a-token-of-the-test",
  CRON_SECRET: SECRET,
  PUBLISH_URL: publisher.url,
});
const queued = (): Env => ({ ...redis(), QSTASH_TOKEN: "qstash-token", QSTASH_URL: queueServer.url });

/** An entry as one script, with everything that the package and the others bring. */
async function bundle(entry: string, define: Record<string, string>, format: "iife" | "esm") {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(example.folder, entry)],
    absWorkingDir: example.folder,
    bundle: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["edge-light", "worker", "import"],
    format,
    globalName: "entry",
    define,
    metafile: true,
    write: false,
  });
  const left = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  return { text: outputFiles[0]?.text ?? "", left };
}

/** api/edge.ts behind HTTP, in an edge runtime that has nothing of Node. `isCutOff`: without the context that Vercel gives. */
async function startEdge(env: Env, { isCutOff = false } = {}): Promise<NodeServer> {
  const vms: EdgeVM[] = [];
  const server = await listen(async (request) => {
    const { method, headers } = request;
    const body = method === "GET" ? null : await request.text();
    const init = { method, headers: Object.fromEntries(headers), body };
    const response = await vms[0]?.dispatchFetch(request.url, init);
    if (response === undefined) throw new Error("it has not started");
    // Not of this realm's class.
    const { status, body: answer } = response;
    return new Response(answer, { status, headers: [...response.headers] });
  });
  // On Vercel the environment is there as process.env, on a strict edge nowhere.
  const variables = { APP_URL: server.url, ...env };
  const { text, left } = await bundle("api/edge.ts", { "process.env": JSON.stringify(variables) }, "iife");
  expect(left).toEqual([]);
  const context = isCutOff ? "undefined" : "event";
  const initialCode = `delete globalThis.process; delete globalThis.Buffer;
    globalThis.console = { log() {}, error() {} };
    ${text};
    addEventListener("fetch", (event) => event.respondWith(entry.default(event.request, ${context})));`;
  vms.push(new EdgeVM({ initialCode }));
  return server;
}

const startNode = (env: Env): Promise<NodeServer> => startServer(example.folder, "dev", env);

const post = (server: NodeServer, id: string, headers: Record<string, string>): Promise<Response> =>
  fetch(`${server.url}/documents`, {
    method: "POST",
    headers: { ...AUTH, "idempotency-key": id, ...headers },
    body: DOCUMENT,
  });

const drain = (server: NodeServer, headers: Record<string, string> = { authorization: `Bearer ${SECRET}` }) =>
  fetch(`${server.url}/internal/drain`, { headers });

async function lookAt(server: NodeServer, id: string) {
  const response = await fetch(`${server.url}/requests/${id}`, { headers: AUTH });
  expect(response.status).toBe(200);
  return (await response.json()) as { state: string; queueStatus: { index: Record<string, unknown> } };
}

/** Drains as a cron does, until the document's request is complete. */
function drainedUntilComplete(server: NodeServer, id: string) {
  return eventually(async () => {
    const response = await drain(server);
    expect(response.status).toBe(200);
    const seen = await lookAt(server, id);
    return seen.state === "complete" ? seen : undefined;
  });
}

const runtimes = {
  edge: { start: startEdge, dying: () => startEdge(queued(), { isCutOff: true }) },
  node: {
    start: startNode,
    dying: () => startNode({ ...queued(), PUBLISH_URL: `${publisher.url}/stalled` }),
  },
};

describe.each(["edge", "node"] as const)("on %s", (runtime) => {
  const { start, dying } = runtimes[runtime];
  let plain: NodeServer;
  let byQueue: NodeServer;
  beforeAll(async () => {
    // What `npm run dev` is not told, it reads from .env.
    [plain, byQueue] = await Promise.all([start(runtime === "node" ? {} : redis()), start(queued())]);
  });
  afterAll(() => Promise.all([plain?.kill(), byQueue?.kill()]));

  it("answers once the document is published, its chunks worked on by the app itself", async () => {
    const id = crypto.randomUUID();
    const response = await post(plain, id, { prefer: "wait=20" });
    expect(response.status).toBe(200);
    expect(response.headers.get("preference-applied")).toBe("wait=20");
    expect(await response.json()).toEqual({
      document: id,
      chunks: 2,
      queueStatus: { index: { total: 1, open: 0, processed: 2, requeueCount: 0, errorCount: 0, errors: [] } },
    });
    expect(publications.of(id)).toEqual([{ document: id, chunks: 2, key: expect.stringMatching(/^msg_/) }]);
    // Again: it is done, and nothing happens twice.
    expect((await post(plain, id, { prefer: "wait=20" })).status).toBe(200);
    expect(publications.of(id)).toHaveLength(1);
  });

  it("counts a chunk once that QStash delivers twice, and refuses a wait beyond 20 s", async () => {
    const id = crypto.randomUUID();
    const accepted = await post(byQueue, id, { prefer: "respond-async" });
    expect([accepted.status, accepted.headers.get("location")]).toEqual([202, `/requests/${id}`]);
    const [first, second] = await queue.chunksOf(id, 2);
    expect(await first?.()).toEqual({ verdict: "accepted", remaining: 1 });
    expect(await first?.()).toEqual({ verdict: "duplicate", remaining: 1 });
    expect((await lookAt(byQueue, id)).state).toBe("pending");
    const end = fetch(`${byQueue.url}/requests/${id}`, { headers: { ...AUTH, prefer: "wait=600" } });
    expect(await second?.()).toEqual({ verdict: "accepted", remaining: 0 });
    const response = await end;
    expect(response.headers.get("preference-applied")).toBe("wait=20");
    expect(await response.json()).toMatchObject({ state: "complete", queueStatus: { index: { processed: 2 } } });
    expect(publications.of(id)).toHaveLength(1);
    const events = await fetch(`${byQueue.url}/requests/${id}/events`, { headers: AUTH });
    expect(await events.text()).toContain("event: complete");
  });

  it("the drain after the deadline completes the request of a document with a lost chunk", async () => {
    const id = crypto.randomUUID();
    const hasty = await start({ ...queued(), DEADLINE_SEC: "1" });
    try {
      expect((await post(hasty, id, { prefer: "respond-async" })).status).toBe(202);
    } finally {
      await hasty.kill();
    }
    const { queueStatus } = await drainedUntilComplete(plain, id);
    expect(queueStatus.index).toMatchObject({
      errorCount: 1,
      errors: [{ taskId: id, message: expect.stringMatching(/ timed_out: deadline$/) }],
    });
    expect(publications.of(id)).toEqual([]);
  });

  it("publishes by the drain what a function left that died", async () => {
    const id = crypto.randomUUID();
    const victim = await dying();
    try {
      expect((await post(victim, id, { prefer: "respond-async" })).status).toBe(202);
      for (const deliver of await queue.chunksOf(id, 2)) expect((await deliver()).verdict).toBe("accepted");
      if (runtime === "node") await eventually(async () => publications.of(id)[0]);
    } finally {
      await victim.kill();
    }
    expect((await lookAt(plain, id)).state).toBe("pending");
    // On Node the dead process holds the delivery's lease: 8 s for its attempt, 15 s to settle.
    const { queueStatus } = await drainedUntilComplete(plain, id);
    expect(queueStatus.index).toMatchObject({ processed: 2, errorCount: 0 });
    const calls = publications.of(id);
    expect(calls).toHaveLength(runtime === "node" ? 2 : 1);
    expect(new Set(calls.map(({ key }) => key)).size).toBe(1);
  });

  it("works and drains only for callers that have the secret", async () => {
    const message = JSON.stringify({ documentId: "document", chunkId: "1", text: "" });
    const work = (authorization: string) =>
      fetch(`${plain.url}/internal/chunks`, { method: "POST", headers: { authorization }, body: message });
    expect((await work("Bearer another-secret-of-16")).status).toBe(401);
    expect((await drain(plain, {})).status).toBe(401);
    expect((await drain(plain, { authorization: "Bearer another-secret-of-16" })).status).toBe(401);
    const report = await drain(plain);
    expect(await report.json()).toMatchObject({ woken: expect.any(Number), left: false });
    expect(report.headers.get("cache-control")).toBe("no-store");
  });

  it("refuses what is no document", async () => {
    const empty = await fetch(`${plain.url}/documents`, { method: "POST", headers: AUTH, body: " \n\n " });
    expect(empty.status).toBe(422);
  });

  it("accepts documents only from clients that have the token, and shows them to no other client", async () => {
    const id = crypto.randomUUID();
    for (const authorization of ["", "Bearer another-token-of-16"]) {
      expect((await post(plain, id, { authorization })).status).toBe(401);
      for (const path of [`/requests/${id}`, `/requests/${id}/events`]) {
        expect((await fetch(plain.url + path, { headers: { authorization } })).status).toBe(401);
      }
    }
  });
});

it("leaves publishing to the drain where there is no waitUntil, and loses no chunk", async () => {
  const id = crypto.randomUUID();
  const server = await startEdge(redis(), { isCutOff: true });
  try {
    expect((await post(server, id, { prefer: "respond-async" })).status).toBe(202);
    expect(publications.of(id)).toEqual([]);
    const { queueStatus } = await drainedUntilComplete(server, id);
    expect(queueStatus.index).toMatchObject({ processed: 2 });
    expect(publications.of(id)).toHaveLength(1);
  } finally {
    await server.kill();
  }
});

it("the server refuses every call when its secrets are missing", async () => {
  const { CRON_SECRET: _, API_TOKEN: __, ...open } = redis();
  const server = await startEdge(open);
  try {
    const headers = { authorization: "Bearer undefined" };
    expect((await post(server, "id", headers)).status).toBe(500);
    expect((await drain(server, headers)).status).toBe(500);
    expect((await fetch(`${server.url}/internal/chunks`, { method: "POST", headers, body: "{}" })).status).toBe(500);
  } finally {
    await server.kill();
  }
});

it("is a Node function too, and compiles against the packed package", async () => {
  expect(await typeErrors(example.folder)).toEqual([]);
  const { text } = await bundle("api/node.ts", {}, "esm");
  const { GET, POST } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  for (const [method, handler] of Object.entries({ GET, POST })) {
    const response = await (handler as typeof fetch)(new Request("https://app.example/nowhere", { method }));
    expect(response.status).toBe(404);
  }
});

it("has a cron, a runtime and variables that exist", async () => {
  const read = (file: string): Promise<string> => readFile(join(example.folder, file), "utf8");
  const { crons, rewrites } = JSON.parse(await read("vercel.json"));
  expect(crons).toEqual([{ path: "/internal/drain", schedule: "* * * * *" }]);
  expect(rewrites).toEqual([{ source: "/(.*)", destination: "/api/edge" }]);
  expect(await read("api/edge.ts")).toContain('export const config = { runtime: "edge" };');
  expect(Object.keys(redis()).filter((name) => name !== "PUBLISH_URL")).toEqual(
    [...(await read(".env.example")).matchAll(/^(\w+)=/gm)].map(([, name]) => name),
  );
});
