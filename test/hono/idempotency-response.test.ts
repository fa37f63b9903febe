import { Hono } from "hono";
import { setCookie } from "hono/cookie";
import { describe, expect, it } from "vitest";
import { coordinationErrors, idempotency } from "../../src/hono/index.js";
import { MemoryCoordinator } from "../../src/index.js";
import { makeApp, type PayContext, refused, seen } from "./idempotency-app.js";

const STATUSES = [
  200, 201, 202, 203, 206, 301, 302, 303, 307, 308, 402, 404, 405, 406, 407, 409, 410, 411, 412, 414, 416, 417, 418,
  421, 423, 424, 426, 428, 431, 451,
];
const FREEING = [400, 401, 403, 408, 413, 415, 422, 425, 429, 500, 501, 502, 503, 504, 599];

describe("statuses", () => {
  it.each(STATUSES)("keeps %d", async (status) => {
    const { pay, ran } = makeApp((c, nth) => c.body(`${nth}`, status as 200));
    await pay();
    expect(await seen(await pay())).toEqual({ status, isReplay: true, text: "1" });
    expect(ran()).toBe(1);
  });

  it.each([204, 205, 304])("keeps %d, which has no body", async (status) => {
    const { pay, ran } = makeApp((c) => c.body(null, status as 204));
    await pay();
    expect(await seen(await pay())).toEqual({ status, isReplay: true, text: "" });
    expect(ran()).toBe(1);
  });

  it.each(FREEING)("frees the key at %d", async (status) => {
    const { pay, ran } = makeApp((c) => c.text("no", status as 400));
    for (const nth of [1, 2]) {
      expect(await seen(await pay())).toEqual({ status, isReplay: false, text: "no" });
      expect(ran()).toBe(nth);
    }
  });

  it("frees the key of a handler that throws, or returns nothing", async () => {
    const { pay, ran } = makeApp((_c, nth) => {
      if (nth === 1) throw new Error("broken");
      return undefined as never;
    });
    expect([(await pay()).status, (await pay()).status, (await pay()).status, ran()]).toEqual([500, 500, 500, 3]);
  });

  it("keeps what store says", async () => {
    const { pay, ran } = makeApp((c) => c.text("no", 503), { store: ({ status }) => status === 503 });
    await pay();
    expect(await seen(await pay())).toEqual({ status: 503, isReplay: true, text: "no" });
    const none = makeApp(undefined, { store: () => false });
    await none.pay();
    await none.pay();
    expect([ran(), none.ran()]).toEqual([1, 2]);
  });

  it("decides by the status when store throws, and reports it", async () => {
    const store = () => {
      throw new Error("broken");
    };
    const { events, pay, ran } = makeApp(undefined, { store });
    await pay();
    expect((await seen(await pay())).isReplay).toBe(true);
    expect([ran(), events.length]).toEqual([1, 1]);
  });
});

describe("header fields", () => {
  const handler = (c: PayContext) => {
    setCookie(c, "session", "secret");
    const own = { location: "/pay/1", etag: '"1"', link: "</x>; rel=next", "x-rate": "7", "x-own": "o", date: "d" };
    return c.json({ paid: true }, 201, own);
  };

  it("replays those that describe the result, and the user's own, but no cookie", async () => {
    const { pay } = makeApp(handler, { headers: ["X-Own"] });
    expect((await pay()).headers.getSetCookie()).toHaveLength(1);
    const response = await pay();
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "application/json",
      location: "/pay/1",
      etag: '"1"',
      link: "</x>; rel=next",
      "x-own": "o",
      "idempotency-replayed": "true",
    });
  });

  it("has those that middleware in front sets, at a replay and a refusal", async () => {
    const app = new Hono().use(async (c, next) => {
      c.header("Access-Control-Allow-Origin", "*");
      await next();
    });
    app.post("/", idempotency({ coordinator: new MemoryCoordinator(), scope: () => "u" }), (c) => c.text("done"));
    const post = (body: string) => app.request("/", { method: "POST", body, headers: { "idempotency-key": "k" } });
    for (const [body, status] of [
      ["a", 200],
      ["a", 200],
      ["b", 422],
    ] as const) {
      const response = await post(body);
      expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([status, "*"]);
    }
  });
});

describe("bodies of responses", () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) % 256);

  it.each([0, 1, 255, 65_536])("keeps %d bytes of any value", async (length) => {
    const { pay, ran } = makeApp((c) => c.body(bytes(length), 200, { "content-type": "application/octet-stream" }));
    const first = new Uint8Array(await (await pay()).arrayBuffer());
    const again = await pay();
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(new Uint8Array(await again.arrayBuffer())).toEqual(first);
    expect(first).toEqual(bytes(length));
    expect(ran()).toBe(1);
  });

  it.each([
    ["65,537 bytes", (c: PayContext) => c.body(bytes(65_537))],
    ["65,537 bytes with a length", (c: PayContext) => c.body(bytes(65_537), 200, { "content-length": "65537" })],
    ["long header fields", (c: PayContext) => c.text("done", 200, { location: `/${"x".repeat(9_000)}` })],
    ["events", (c: PayContext) => c.body("data: 1\n\n", 200, { "content-type": "text/event-stream" })],
    ["chunks", (c: PayContext) => c.body("1", 200, { "transfer-encoding": "chunked" })],
  ])("sends %s to the client, and answers a duplicate 409 without a second run", async (_, handler) => {
    const { pay, ran } = makeApp(handler);
    const first = await pay();
    expect([first.status, (await first.arrayBuffer()).byteLength > 0]).toEqual([200, true]);
    await expect.poll(async () => refused(await pay())).toEqual([409, "result_not_kept"]);
    expect((await pay()).headers.get("retry-after")).toBeNull();
    expect(ran()).toBe(1);
  });

  it("does not hold back a stream without an end, and is done without its body", async () => {
    const { pay, ran } = makeApp(() => {
      const start = (controller: ReadableStreamDefaultController) => controller.enqueue(new TextEncoder().encode("a"));
      return new Response(new ReadableStream({ start }));
    });
    const startedMs = performance.now();
    const response = await pay();
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe("a");
    expect(performance.now() - startedMs).toBeLessThan(900);
    await expect.poll(async () => refused(await pay()), { timeout: 5_000 }).toEqual([409, "result_not_kept"]);
    await reader?.cancel();
    expect(ran()).toBe(1);
  });

  it("does not run a handler again whose body broke", async () => {
    const { pay, ran } = makeApp(() => {
      const pull = (controller: ReadableStreamDefaultController) => controller.error(new Error("broken"));
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    });
    await (await pay()).text().catch(() => undefined);
    expect(await refused(await pay())).toEqual([409, "result_not_kept"]);
    expect(ran()).toBe(1);
  });
});

describe("the fingerprint", () => {
  it.each([
    ["another body", { body: "b" }],
    ["another path", { path: "/pay/b" }],
    ["another query", { path: "/pay/a?x=1" }],
    ["another method", { method: "PUT" }],
    ["another content type", { headers: { "content-type": "application/xml" } }],
  ])("refuses a key with %s: 422", async (_, other) => {
    const { pay, ran } = makeApp();
    await pay({ body: "a" });
    const response = await pay({ body: "a", ...other });
    expect(await response.json()).toMatchObject({
      type: "urn:problem-type:edge-coordinator:idempotency-mismatch",
      title: "Idempotency-Key is already used",
      status: 422,
      code: "mismatch",
      retryable: false,
    });
    expect(ran()).toBe(1);
  });

  it("ignores other headers", async () => {
    const { pay } = makeApp();
    await pay();
    expect((await seen(await pay({ headers: { "user-agent": "x", "x-request-id": "2" } }))).isReplay).toBe(true);
  });

  const reads: readonly [string, (c: PayContext) => Promise<unknown>][] = [
    ["json", (c) => c.req.json()],
    ["text", async (c) => JSON.parse(await c.req.text())],
    ["the raw request", (c) => c.req.raw.json()],
    ["a clone", (c) => c.req.raw.clone().json()],
  ];
  it.each(reads)("leaves the body to the handler: %s", async (_, read) => {
    const { pay } = makeApp(async (c) => c.json(await read(c)));
    expect((await seen(await pay({ body: '{"a":1}' }))).text).toBe('{"a":1}');
  });

  it("reads the body that middleware in front has read by c.req, but not a form's", async () => {
    const app = new Hono().onError(coordinationErrors());
    const reads = { text: "text", form: "parseBody", raw: "arrayBuffer" } as const;
    for (const [path, read] of Object.entries(reads)) {
      app.use(`/${path}`, async (c, next) => {
        await (path === "raw" ? c.req.raw : c.req)[read as "arrayBuffer"]();
        await next();
      });
    }
    const once = idempotency({ coordinator: new MemoryCoordinator(), scope: () => "u" });
    app.post("/:path", once, async (c) => c.text(await c.req.text()));
    const body = new URLSearchParams({ a: "1" });
    const post = (path: string, key = path) =>
      app.request(path, { method: "POST", body, headers: { "idempotency-key": key } });
    expect(await seen(await post("/text"))).toEqual({ status: 200, isReplay: false, text: "a=1" });
    expect((await seen(await post("/text"))).isReplay).toBe(true);
    for (const path of ["/form", "/raw"]) expect(await refused(await post(path))).toEqual([500, "misconfigured"]);
  });

  it("refuses a body of more than 1 MB: 413, unless the application has its own", async () => {
    const { pay, ran } = makeApp();
    expect((await pay({ body: "x".repeat(1_048_576) })).status).toBe(201);
    expect(await refused(await pay({ key: "l", body: "x".repeat(1_048_577) }))).toEqual([413, "too_large"]);
    expect(ran()).toBe(1);
    const own = makeApp(async (c) => c.text(`${(await c.req.text()).length}`), {
      fingerprint: (c) => c.req.header("x-digest") ?? "",
    });
    const large = { body: "x".repeat(2_000_000), headers: { "x-digest": "1" } };
    expect((await seen(await own.pay(large))).text).toBe("2000000");
    expect((await seen(await own.pay(large))).isReplay).toBe(true);
    expect(await refused(await own.pay({ ...large, headers: { "x-digest": "2" } }))).toEqual([422, "mismatch"]);
  });

  it("refuses a fingerprint that is no text", async () => {
    const { pay, ran } = makeApp(undefined, { fingerprint: () => undefined as never });
    expect(await refused(await pay())).toEqual([500, "misconfigured"]);
    expect(ran()).toBe(0);
  });
});
