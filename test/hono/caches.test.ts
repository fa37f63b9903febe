import { Hono, type MiddlewareHandler } from "hono";
import { cache } from "hono/cache";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { logger } from "hono/logger";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { timing } from "hono/timing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type HandlerContext, makeBench, RECORD_OF_R, registering } from "./bench.js";

afterEach(() => vi.unstubAllGlobals());

const KEY = { "idempotency-key": "r" };

/** What `hono/cache` stores: keeps what a cache would. */
function stubCaches(): Map<string, Response> {
  const stored = new Map<string, Response>();
  const opened = {
    match: async (key: string) => stored.get(key)?.clone(),
    put: async (key: string, response: Response) => void stored.set(key, response),
  };
  vi.stubGlobal("caches", { open: async () => opened });
  return stored;
}

describe("an answer behind requestWait", () => {
  const cacheable = (c: HandlerContext) => c.json({ total: 7 }, 200, { "cache-control": "public, max-age=3600" });

  it.each([
    ["a 200", {}, cacheable],
    ["a 200 that was waited for", { prefer: "wait=1" }, cacheable],
    ["a 202", { prefer: "respond-async" }, registering],
    ["a redirect", {}, (c: HandlerContext) => c.redirect("/elsewhere", 301)],
    ["an error", {}, (c: HandlerContext) => c.json({}, 404, { "cache-control": "max-age=60" })],
    [
      "an error that was thrown",
      {},
      () => {
        throw new Error("no");
      },
    ],
  ])("row 73: is stored by no cache, since it carries one request's id: %s", async (_, headers, handler) => {
    const bench = makeBench({ handler });
    const response = await bench.get("/work", headers as Record<string, string>);
    expect([response.headers.get("cache-control"), response.headers.has("x-request-id")]).toEqual(["no-store", true]);
  });

  it("row 73: says so to caches that have headers of their own", async () => {
    const targeted = ["CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control"];
    const names = [...targeted, "Surrogate-Control", "Edge-Control"];
    const bench = makeBench({
      handler: (c) => {
        for (const name of names) c.header(name, "max-age=3600");
        return c.json({});
      },
    });
    const { headers } = await bench.get("/work");
    expect(names.filter((name) => headers.has(name))).toEqual([]);
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it("row 73: keeps a handler's event stream from being compressed", async () => {
    const headers = { "content-type": "text/event-stream", "cache-control": "no-cache, No-Transform" };
    const bench = makeBench({ handler: () => new Response("data: 1\n\n", { headers }) });
    expect((await bench.get("/work")).headers.get("cache-control")).toBe("no-store, no-transform");
  });

  it("row 73: is stored by Hono's own cache neither, whatever that adds", async () => {
    const stored = stubCaches();
    const bench = makeBench({ handler: cacheable });
    const app = new Hono().use(cache({ cacheName: "a", cacheControl: "max-age=60", vary: "prefer", wait: true }));
    app.route("/", bench.app);
    const ids = [];
    for (let i = 0; i < 2; i++) ids.push((await app.request("/work")).headers.get("x-request-id"));
    expect([new Set(ids).size, stored.size]).toEqual([2, 0]);
  });
});

describe("an answer of the status routes", () => {
  it("row 73: is stored by no cache, the one that ends an EventSource neither", async () => {
    const bench = makeBench();
    await bench.post(KEY);
    await bench.worker.ack(RECORD_OF_R, "parse", "a");
    const events = await bench.get("/requests/r/events");
    const id = /^id: (.*)$/m.exec(await events.text())?.[1] ?? "";
    const over = await bench.get("/requests/r/events", { "last-event-id": id });
    expect([over.status, over.headers.get("cache-control")]).toEqual([204, "no-store"]);
  });
});

describe("an event stream behind Hono's middleware", () => {
  it.each<[string, () => MiddlewareHandler, Record<string, string>?]>([
    ["etag", () => etag()],
    ["etag, weak", () => etag({ weak: true })],
    ["etag, for a client that has one", () => etag(), { "if-none-match": '"1", W/"2"' }],
    ["compress", () => compress(), { "accept-encoding": "gzip" }],
    ["compress, of everything", () => compress({ contentTypeFilter: () => true, threshold: 0 })],
    ["cache", () => cache({ cacheName: "a", cacheControl: "max-age=60", wait: true })],
    ["timing", () => timing()],
    ["timeout", () => timeout(60_000)],
    ["logger", () => logger(() => {})],
    ["prettyJSON", () => prettyJSON({ force: true })],
    ["secureHeaders", () => secureHeaders()],
    ["cors", () => cors()],
    ["requestId", () => requestId()],
  ])("row 69: comes while it is written: %s", async (_, makeMiddleware, headers = {}) => {
    stubCaches();
    const bench = makeBench();
    const app = new Hono().use(makeMiddleware()).route("/", bench.app);
    await bench.post(KEY);
    const response = await app.request("/requests/r/events", {
      headers: { accept: "text/event-stream", "accept-encoding": "gzip", ...headers },
    });
    expect([response.status, response.headers.get("content-encoding")]).toEqual([200, null]);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toContain("event: progress");
    await reader.cancel();
    expect(bench.clock.pending).toBe(0);
  });

  it("row 69: answers HEAD behind etag, too", async () => {
    const bench = makeBench();
    const app = new Hono().use(etag()).route("/", bench.app);
    await bench.post(KEY);
    expect((await app.request("/requests/r/events", { method: "HEAD" })).status).toBe(200);
    expect(bench.clock.pending).toBe(0);
  });
});
