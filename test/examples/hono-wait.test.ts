import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type InstalledExample, installedExample } from "../support/packed.js";
import type {} from "../support/provided.js";
import { typeErrors } from "./example.js";
import { type NodeServer, startServer } from "./node-example.js";

let example: InstalledExample;
beforeAll(async () => {
  example = await installedExample("hono-wait");
});
afterAll(() => example?.remove());

it("compiles against the packed package", async () => {
  expect(await typeErrors(example.folder)).toEqual([]);
});

describe("npm start", () => {
  let server: NodeServer;
  beforeAll(async () => {
    server = await startServer(example.folder, "start");
  });
  afterAll(() => server?.kill());

  const post = (query: string, headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.url}/documents?${query}`, { method: "POST", headers });

  it("answers 200 with the counts when the document is done in time", async () => {
    // The README says 5: here the machine may be busy.
    const response = await post("pages=3", { prefer: "wait=20" });
    expect(response.status).toBe(200);
    expect(response.headers.get("preference-applied")).toBe("wait=20");
    expect(response.headers.get("location")).toBeNull();
    expect(await response.json()).toEqual({
      document: response.headers.get("x-request-id"),
      queueStatus: {
        parse: { total: 1, open: 0, processed: 3, requeueCount: 0, errorCount: 0, errors: [] },
        embed: { total: 1, open: 0, processed: 3, requeueCount: 0, errorCount: 0, errors: [] },
      },
    });
  });

  it("answers 202 when it is not, and tells how far it is, by looks and by events", async () => {
    const response = await post("pages=30", { prefer: "wait=1" });
    expect(response.status).toBe(202);
    expect(response.headers.get("preference-applied")).toBe("wait=1");
    expect(response.headers.get("retry-after")).toBe("1");
    const id = response.headers.get("x-request-id") ?? "";
    const location = response.headers.get("location") ?? "";
    expect(location).toBe(`/requests/${id}`);
    expect(await response.json()).toEqual({ document: id });

    const look = await fetch(server.url + location);
    expect([look.status, look.headers.get("retry-after")]).toEqual([200, "1"]);
    expect(await look.json()).toMatchObject({
      id,
      state: "pending",
      final: false,
      queueStatus: { embed: { processed: 0 } },
    });

    const stream = await fetch(`${server.url}${location}/events`);
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    // The server ends the stream after its last event.
    const events = await stream.text();
    const first = /event: progress\nid: \d+\.\d+\ndata: (.*)\n\n/.exec(events)?.[1] ?? "{}";
    expect(JSON.parse(first)).toMatchObject({ id, state: "pending", open: 1, queueStatus: { parse: {}, embed: {} } });
    const last = /event: complete\nid: \d+\.\d+\ndata: (.*)\n\n$/.exec(events)?.[1] ?? "{}";
    expect(JSON.parse(last)).toMatchObject({
      id,
      state: "complete",
      open: 0,
      queueStatus: { parse: { processed: 30 }, embed: { processed: 30 } },
    });
  });

  it("answers 202 at once to respond-async, and waits at Location", async () => {
    const response = await post("pages=3", { prefer: "respond-async" });
    expect([response.status, response.headers.get("preference-applied")]).toEqual([202, "respond-async"]);
    const end = await fetch(server.url + response.headers.get("location"), { headers: { prefer: "wait=20" } });
    expect([end.status, end.headers.get("retry-after")]).toEqual([200, null]);
    expect(await end.json()).toMatchObject({ state: "complete", queueStatus: { embed: { processed: 3 } } });
  });

  it("answers 202 with Location to a client that says nothing", async () => {
    const response = await post("pages=3", {});
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`/requests/${response.headers.get("x-request-id")}`);
  });

  it("tells of failures in the counts, and refuses what is no document", async () => {
    const response = await post("pages=0", { prefer: "wait=20" });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      queueStatus: {
        parse: { errorCount: 1, errors: [{ taskId: expect.any(String), message: "the document has no pages" }] },
      },
    });
    expect((await post("pages=many", {})).status).toBe(422);
    expect((await fetch(`${server.url}/requests/nobody`)).status).toBe(404);
  });

  it("makes every id itself: a client's idempotency key joins no other request", async () => {
    const headers = { prefer: "wait=20", "idempotency-key": "invoice-7" };
    const [first, second] = await Promise.all([post("pages=1", headers), post("pages=2", headers)]);
    expect((await first.json()).queueStatus.parse.processed).toBe(1);
    expect((await second.json()).queueStatus.parse.processed).toBe(2);
    expect(first.headers.get("x-request-id")).not.toBe(second.headers.get("x-request-id"));
  });
});

it("does a request that is sent twice once, by the change that the README shows", async () => {
  const readme = await readFile(join(example.folder, "README.md"), "utf8");
  const change = /```ts\n(scope: .*)\n```/.exec(readme)?.[1] ?? "";
  const path = join(example.folder, "app.ts");
  const app = await readFile(path, "utf8");
  const line = 'scope: "public" as const,';
  expect(app.split(line)).toHaveLength(2);
  // In place of the authentication that the reader has.
  const user = '.use(async (c, next) => { c.set("user" as never, "alice" as never); await next(); })';
  const changed = app.replace(line, change.replace("(c)", "(c: any)")).replace(".post(", `${user}\n  .post(`);
  await writeFile(path, changed);
  const server = await startServer(example.folder, "start");
  try {
    const headers = { prefer: "wait=20", "idempotency-key": "invoice-7" };
    const post = () => fetch(`${server.url}/documents?pages=3`, { method: "POST", headers });
    const [first, second] = await Promise.all([post(), post()]);
    for (const response of [first, second, await post()]) {
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({
        document: "invoice-7",
        queueStatus: { parse: { processed: 3 }, embed: { processed: 3 } },
      });
    }
  } finally {
    await server.kill();
    await writeFile(path, app);
  }
});

it("runs on Upstash by the change that the README shows", async () => {
  const readme = await readFile(join(example.folder, "README.md"), "utf8");
  const change = /```ts\n(.*?new UpstashCoordinator.*?)```/s.exec(readme)?.[1] ?? "";
  const app = await readFile(join(example.folder, "app.ts"), "utf8");
  const line = "const coordinator = new MemoryCoordinator();\n";
  expect([app.split(line).length, change.split("\n").length]).toEqual([2, 7]);
  // An import that is not needed any more does no harm.
  await writeFile(join(example.folder, "app.ts"), app.replace(line, change));
  expect(await typeErrors(example.folder)).toEqual([]);
  const server = await startServer(example.folder, "start", {
    UPSTASH_REDIS_REST_URL: inject("restUrl"),
    UPSTASH_REDIS_REST_TOKEN: inject("restToken"),
  });
  try {
    const headers = { prefer: "wait=20" };
    const response = await fetch(`${server.url}/documents?pages=2`, { method: "POST", headers });
    expect(response.status).toBe(200);
    const document = response.headers.get("x-request-id");
    expect(await response.json()).toMatchObject({ document, queueStatus: { embed: { processed: 2 } } });
  } finally {
    await server.kill();
  }
});
