import { Hono } from "hono";
import { describe, expect, it, vi } from "vitest";
import { coordinationErrors, type RateLimitOptions, rateLimit } from "../../src/hono/index.js";
import { type CoordinatorEvent, MemoryCoordinator, RateLimiter } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

const START_MS = 1_700_000_000_000;

function makeApp(options: Partial<RateLimitOptions> = {}) {
  const clock = new ManualClock(START_MS);
  const coordinator = new MemoryCoordinator({ clock });
  const events: CoordinatorEvent[] = [];
  const all: RateLimitOptions = {
    coordinator,
    limit: 2,
    windowSec: "1m",
    key: (c) => c.req.header("x-user") ?? "anonymous",
    onEvent: (event) => events.push(event),
    ...options,
  };
  let handled = 0;
  const app = new Hono().onError(coordinationErrors());
  const limited = app.use(rateLimit(all)).get("/", (c) => c.text(`${++handled}`));
  const get = async (path = "/", user = "anonymous") => limited.request(path, { headers: { "x-user": user } });
  return { app, clock, coordinator, events, get, handled: () => handled };
}

/** A coordinator whose backend does not answer. */
function failing(): MemoryCoordinator {
  const coordinator = new MemoryCoordinator();
  coordinator.run = () => Promise.reject(new Error("away"));
  return coordinator;
}

const headersOf = ({ headers }: Response) => ({
  policy: headers.get("ratelimit-policy"),
  limit: headers.get("ratelimit"),
  retryAfter: headers.get("retry-after"),
});

describe("rateLimit", () => {
  it("says in each response how many requests are left", async () => {
    const { get } = makeApp();
    expect(headersOf(await get())).toEqual({
      policy: '"default";q=2;w=60',
      limit: '"default";r=1;t=30',
      retryAfter: null,
    });
    expect(headersOf(await get()).limit).toBe('"default";r=0;t=60');
  });

  it("answers 429 with problem details over the limit, and does not run the handler", async () => {
    const { get, handled } = makeApp({ name: "per-minute" });
    await get();
    await get();
    const response = await get();
    expect([response.status, handled()]).toEqual([429, 2]);
    expect(headersOf(response)).toEqual({
      policy: '"per-minute";q=2;w=60',
      limit: '"per-minute";r=0;t=60',
      retryAfter: "30",
    });
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Quota exceeded",
      status: 429,
      code: "rate_limited",
      retryable: true,
      "violated-policies": ["per-minute"],
    });
  });

  it("asks the backend once about a key that is denied, with denials in memory", async () => {
    const coordinator = new MemoryCoordinator();
    const run = vi.spyOn(coordinator, "run");
    const { get } = makeApp({ coordinator, denials: new Map() });
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await get()).status);
    expect(statuses).toEqual([200, 200, 429, 429, 429]);
    expect(run).toHaveBeenCalledTimes(3);
  });

  it("allows the request again after Retry-After", async () => {
    const { clock, get } = makeApp({ burst: 1 });
    await get();
    const retryAfterSec = Number((await get()).headers.get("retry-after"));
    await clock.advance(retryAfterSec * 1000 - 1);
    expect((await get()).status).toBe(429);
    await clock.advance(1);
    expect((await get()).status).toBe(200);
  });

  it("counts each key alone", async () => {
    const { get } = makeApp({ limit: 1 });
    const statuses = [await get("/", "a"), await get("/", "b"), await get("/", "a")].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  it("shares a limit with a RateLimiter whose namespace is its name", async () => {
    const { coordinator, get } = makeApp({ limit: 1, name: "api" });
    await new RateLimiter(coordinator, { limit: 1, windowSec: 60, namespace: "api" }).limit("a");
    expect([(await get("/", "a")).status, (await get("/", "b")).status]).toEqual([429, 200]);
  });

  it("lists two limits of one route, and names the one that is exceeded", async () => {
    const { app, coordinator } = makeApp({ limit: 5 });
    app.use("/hourly", rateLimit({ coordinator, key: () => "k", limit: 1, windowSec: "1h", name: "hourly" }));
    app.get("/hourly", (c) => c.text("ok"));
    expect(headersOf(await app.request("/hourly"))).toEqual({
      policy: '"hourly";q=1;w=3600, "default";q=5;w=60',
      limit: '"hourly";r=0;t=3600, "default";r=4;t=12',
      retryAfter: null,
    });
    const over = await app.request("/hourly");
    expect([over.status, (await over.json())["violated-policies"]]).toEqual([429, ["hourly"]]);
    expect(headersOf(over).limit).toBe('"hourly";r=0;t=3600, "default";r=3;t=24');
  });

  it("adds its headers to a response of the handler's own, to a 404 and to an error", async () => {
    const { app } = makeApp({ limit: 10 });
    app.get("/own", () => Response.redirect("https://example.com/"));
    app.get("/error", () => {
      throw new Error("broken");
    });
    for (const [path, status] of [
      ["/own", 302],
      ["/none", 404],
      ["/error", 500],
    ] as const) {
      const response = await app.request(path);
      expect([path, response.status, headersOf(response).policy]).toEqual([path, status, '"default";q=10;w=60']);
      expect(headersOf(response).limit).toMatch(/^"default";r=\d;t=\d+$/);
    }
  });

  it("keeps the headers of outer middleware when it answers 429", async () => {
    const { coordinator } = makeApp();
    const app = new Hono()
      .use(async (c, next) => {
        c.header("access-control-allow-origin", "*");
        await next();
      })
      .use(rateLimit({ coordinator, key: () => "k", limit: 1, windowSec: 60 }))
      .get("/", (c) => c.text("ok"));
    await app.request("/");
    const over = await app.request("/");
    expect([over.status, over.headers.get("access-control-allow-origin")]).toEqual([429, "*"]);
  });

  it("leaves out a window that is not in whole seconds", async () => {
    const { get } = makeApp({ windowSec: 0.5 });
    expect(headersOf(await get()).policy).toBe('"default";q=2');
  });

  it("calls a function for the coordinator once for each request", async () => {
    const shared = new MemoryCoordinator();
    let made = 0;
    const { get } = makeApp({
      coordinator: () => {
        made++;
        return shared;
      },
    });
    const statuses = [await get(), await get(), await get()].map(({ status }) => status);
    expect([made, statuses]).toEqual([3, [200, 200, 429]]);
  });
});

describe("rateLimit, when the backend fails", () => {
  it("allows the request by default, and reports why", async () => {
    const { events, get } = makeApp({ coordinator: failing() });
    const response = await get("/", "a");
    expect([response.status, headersOf(response).limit]).toEqual([200, null]);
    expect(headersOf(response).policy).toBe('"default";q=2;w=60');
    expect(events).toEqual([
      { type: "followup_failed", transition: "limiter.take", id: "a", error: new Error("away") },
    ]);
  });

  it('answers 503 with onError "deny"', async () => {
    const { events, get, handled } = makeApp({ coordinator: failing(), onError: "deny" });
    const response = await get();
    expect([response.status, handled(), events.length]).toEqual([503, 0, 1]);
    expect(headersOf(response)).toEqual({ policy: '"default";q=2;w=60', limit: null, retryAfter: "1" });
    expect(await response.json()).toMatchObject({ code: "backend_unavailable", retryable: true });
  });
});

describe("the options of rateLimit", () => {
  it.each<[string, object, RegExp]>([
    ["no key", { key: undefined }, /^key must be a function/],
    ["a key that is no function", { key: "ip" }, /^key must be a function/],
    ["an unknown onError", { onError: "throw" }, /^onError must be "allow" or "deny"/],
    ["a name with a quote", { name: 'a"b' }, /^name must be/],
    ["an empty name", { name: "" }, /^name must be/],
    ["a limit out of range", { limit: 0 }, /^limit must be/],
    ["no window", { windowSec: undefined }, /^windowSec must be/],
    ["a burst out of range", { burst: 0 }, /^burst must be/],
    ["a timeout out of range", { timeoutMs: 0 }, /^timeoutMs must be/],
    ["an unknown option", { window: 1 }, /window/],
    ["no coordinator", { coordinator: {} }, /coordinator/],
  ])("are refused when the middleware is made: %s", (_name, change, message) => {
    const coordinator = new MemoryCoordinator();
    const options = { coordinator, limit: 1, windowSec: 1, key: () => "k", ...change } as RateLimitOptions;
    expect(() => rateLimit(options)).toThrow(message);
  });

  it.each([undefined, ""])("answer 500 when the key is %j: no request goes uncounted", async (value) => {
    const { get, handled } = makeApp({ key: () => value as string });
    const response = await get();
    expect([response.status, (await response.json()).code, handled()]).toEqual([500, "misconfigured", 0]);
  });
});
