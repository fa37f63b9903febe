import { type Context, Hono } from "hono";
import { PatternRouter } from "hono/router/pattern-router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { TrieRouter } from "hono/router/trie-router";
import { describe, expect, it } from "vitest";
import { coordinationErrors, type RequestOptions, requestStatusRoutes, requestWait } from "../../src/hono/index.js";
import { MemoryCoordinator } from "../../src/index.js";
import { type HandlerContext, makeBench, registering, STAGES, type Stage } from "./bench.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a public scope", () => {
  it.each([
    ["idempotency-key", "invoice-7"],
    ["idempotency-key", '"invoice-7"'],
    ["x-request-id", "invoice-7"],
    // The stranger has seen the victim's id.
    ["idempotency-key", "7b1c4a52-3c1e-4f0a-9d59-0f4b8f0a3c11"],
  ])("row 72: is joined by no %s of a stranger: %s", async (header, key) => {
    const bench = makeBench({ scope: "public" });
    const stranger = await bench.post({ [header]: key });
    await bench.worker.fail(bench.ids[0] ?? "", "parse", "a", "the stranger's");
    const victim = await bench.post({ [header]: key, prefer: "wait=0" });
    expect([victim.status, bench.ids.length, new Set(bench.ids).size]).toEqual([202, 2, 2]);
    for (const response of [stranger, victim]) expect(response.headers.get("x-request-id")).toMatch(UUID);
    const status = await bench.get(victim.headers.get("location") ?? "");
    expect(await status.json()).toMatchObject({ state: "pending", queueStatus: { parse: { errorCount: 0 } } });
  });

  it("row 72: takes no key that is none for a reason to refuse, since it reads none", async () => {
    const bench = makeBench({ scope: "public" });
    expect((await bench.post({ "idempotency-key": "", "x-request-id": "\u00e4" })).status).toBe(202);
  });

  it("row 72: reads no record but those whose ids a server made", async () => {
    const coordinator = new MemoryCoordinator();
    const scoped = makeBench({ coordinator, scope: () => "alice" });
    await scoped.post({ "idempotency-key": "key" });
    const open = makeBench({ coordinator, scope: "public" });
    for (const id of [scoped.ids[0] ?? "", "5:alice3:key", "key"]) {
      expect((await open.get(`/requests/${encodeURIComponent(id)}`)).status).toBe(404);
    }
  });
});

describe("whose request it is", () => {
  const make = (options: object) => () =>
    requestWait({
      coordinator: new MemoryCoordinator(),
      stages: STAGES,
      ...options,
    } as unknown as RequestOptions<Stage>);

  it.each([
    ["is not said", {}, /scope must be a function .* or "public"/],
    ["is said in another way", { scope: "private" }, /scope must be a function .* or "public"/],
    ["is everybody's, and the application names the ids", { scope: "public", requestId: () => "a" }, /requestId must/],
  ])("row 72: is refused when the middleware is made, where it %s", (_, options, message) => {
    expect(make(options)).toThrow(
      expect.objectContaining({ code: "invalid_input", message: expect.stringMatching(message) }),
    );
  });
});

describe("routes below a path with parameters", () => {
  const orgs = (c: Context): string => c.req.param("id") ?? "";
  const optionsOf = (coordinator: MemoryCoordinator): RequestOptions<Stage> => ({
    coordinator,
    stages: STAGES,
    scope: orgs,
    statusPath: (c) => `/orgs/${encodeURIComponent(orgs(c))}/requests`,
  });

  it.each([
    ["RegExpRouter", () => new RegExpRouter<never>()],
    ["TrieRouter", () => new TrieRouter<never>()],
    ["PatternRouter", () => new PatternRouter<never>()],
  ])("row 71: leave the application its own names: %s", async (_, makeRouter) => {
    const options = optionsOf(new MemoryCoordinator());
    const app = new Hono({ router: makeRouter() })
      .onError(coordinationErrors())
      .post("/orgs/:id/documents", requestWait(options), (c) => registering(c as unknown as HandlerContext))
      .route("/orgs/:id/requests", requestStatusRoutes(options));
    const headers = { "idempotency-key": "order:4711" };
    const accepted = await app.request("/orgs/acme%20co/documents", { method: "POST", headers });
    expect([accepted.status, accepted.headers.get("location")]).toEqual([202, "/orgs/acme%20co/requests/order%3A4711"]);
    const status = await app.request(accepted.headers.get("location") ?? "");
    expect(await status.json()).toMatchObject({ id: "order:4711", state: "pending" });
    const events = await app.request(`${accepted.headers.get("location")}/events`);
    expect(events.headers.get("content-type")).toBe("text/event-stream");
    await events.body?.cancel();
    // The scope is the organization's.
    expect((await app.request("/orgs/other/requests/order%3A4711")).status).toBe(404);
    expect((await app.request("/orgs/order%3A4711/requests/order%3A4711")).status).toBe(404);
  });

  it.each(["requests", "//evil.example", "/a\r\nb: c", 5, undefined])(
    "row 71: are misconfigured where the function returns no path, before the handler runs: %j",
    async (path) => {
      const bench = makeBench({ statusPath: () => path as string });
      const response = await bench.post();
      expect([response.status, (await response.json()).code]).toEqual([500, "misconfigured"]);
      expect([bench.ids, bench.coordinator.size]).toEqual([[], 0]);
    },
  );
});
