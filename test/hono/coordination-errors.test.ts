import { Hono } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type CoordinationErrorsOptions,
  coordinationErrors,
  drainRoutes,
  requestStatusRoutes,
} from "../../src/hono/index.js";
import { CoordinationError, type CoordinationErrorCode, type DrainableCoordinator } from "../../src/index.js";

const STATUSES: readonly (readonly [CoordinationErrorCode, number])[] = [
  ["invalid_input", 422],
  ["conflict", 409],
  ["limit_exceeded", 422],
  ["wait_timeout", 504],
  ["unsupported", 501],
];

// Hono's own error handler, which runs before a middleware sees the error, logs.
beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
afterEach(() => vi.restoreAllMocks());

const PLACES = {
  "as an error handler": (thrown: unknown, options?: CoordinationErrorsOptions) =>
    new Hono().onError(coordinationErrors(options)).get("/", () => {
      throw thrown;
    }),
  "as a middleware": (thrown: unknown, options?: CoordinationErrorsOptions) =>
    new Hono().use(coordinationErrors(options)).get("/", () => {
      throw thrown;
    }),
};

describe.each(Object.entries(PLACES))("a CoordinationError, %s", (_, app) => {
  it.each(STATUSES)("is a problem with its status: %s", async (code, status) => {
    const error = new CoordinationError(code, "what went wrong", { retryable: true, applied: "unknown" });
    const response = await app(error).request("/");
    // A cap that gives way with time is the caller's pace.
    const expected = code === "limit_exceeded" ? 429 : status;
    expect([response.status, response.headers.get("content-type")]).toEqual([expected, "application/problem+json"]);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: expect.stringMatching(/\w/),
      status: expected,
      detail: "what went wrong",
      code,
      retryable: true,
      applied: "unknown",
    });
  });

  it.each([
    ["unauthorized", 502, "backend_rejected", "the backend refused the server"],
    ["backend_rejected", 502, "backend_rejected", "the backend refused the server"],
    ["rate_limited", 503, "backend_unavailable", "the backend cannot answer now"],
    ["backend_unavailable", 503, "backend_unavailable", "the backend cannot answer now"],
    ["misconfigured", 500, "misconfigured", "the server is misconfigured"],
  ] as const)("that is the server's fault does not look like the client's: %s", async (code, status, told, detail) => {
    const heard: Error[] = [];
    const error = new CoordinationError(code, "COORDINATOR_TOKEN Canary7f3a91");
    const response = await app(error, { onError: (e) => heard.push(e) }).request("/");
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([status, null]);
    expect(await response.json()).toMatchObject({ status, code: told, detail, retryable: false });
    expect(heard).toEqual([error]);
  });

  it("reaches the hook when the answer is a 5xx, and only then", async () => {
    for (const [code, status] of STATUSES) {
      const heard: Error[] = [];
      const error = new CoordinationError(code, "what went wrong");
      const response = await app(error, { onError: (e) => heard.push(e) }).request("/");
      expect([response.status, heard]).toEqual([status, status < 500 ? [] : [error]]);
    }
    const throwing = {
      onError: () => {
        throw new Error("hook");
      },
    };
    expect((await app(new CoordinationError("wait_timeout", "late"), throwing).request("/")).status).toBe(504);
  });

  it("says when to come again", async () => {
    const retryAfter = async (code: CoordinationErrorCode, retryAfterMs?: number) =>
      (await app(new CoordinationError(code, "later", { retryable: true, retryAfterMs })).request("/")).headers.get(
        "retry-after",
      );
    expect(await retryAfter("rate_limited", 1_500)).toBe("2");
    expect(await retryAfter("rate_limited")).toBe("1");
    expect(await retryAfter("backend_unavailable")).toBe("1");
    expect(await retryAfter("conflict")).toBeNull();
  });

  it("tells nothing of its cause (S6)", async () => {
    const cause = new Error("Canary7f3a91");
    const response = await app(new CoordinationError("backend_unavailable", "no answer", { cause })).request("/");
    expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain("Canary");
  });
});

describe("another error", () => {
  it("is a plain 500 that tells nothing, as an error handler; the hook hears of it", async () => {
    const error = new Error("Canary7f3a91");
    const heard: Error[] = [];
    const response = await PLACES["as an error handler"](error, { onError: (e) => heard.push(e) }).request("/");
    expect([response.status, await response.text(), heard]).toEqual([500, "Internal Server Error", [error]]);
    const throwing = {
      onError: () => {
        throw new Error("hook");
      },
    };
    expect((await PLACES["as an error handler"](error, throwing).request("/")).status).toBe(500);
    expect((await PLACES["as an error handler"](error).request("/")).status).toBe(500);
  });

  it("is the application's, as a middleware", async () => {
    const app = PLACES["as a middleware"](new Error("mine")).onError((error, c) =>
      c.text(`app: ${error.message}`, 418),
    );
    expect(await (await app.request("/")).text()).toBe("app: mine");
    const fine = new Hono().use(coordinationErrors()).get("/", (c) => c.text("fine"));
    expect(await (await fine.request("/")).text()).toBe("fine");
  });

  it.each(Object.entries(PLACES))("gives its own response when it is an HTTPException, %s", async (_, app) => {
    const own = new HTTPException(403, { res: new Response("no entry", { headers: { "x-own": "1" } }) });
    const response = await app(own).request("/");
    expect([response.status, response.headers.get("x-own"), await response.text()]).toEqual([403, "1", "no entry"]);
    expect((await app(new HTTPException(418, { message: "tea" })).request("/")).status).toBe(418);
  });

  it("reaches the hook when it is an HTTPException with a 5xx", async () => {
    const heard: Error[] = [];
    const error = new HTTPException(503, { message: "closed" });
    const response = await PLACES["as an error handler"](error, { onError: (e) => heard.push(e) }).request("/");
    expect([response.status, heard]).toEqual([503, [error]]);
  });

  it("does not reach the hook once the client has left", async () => {
    const heard = vi.fn();
    const app = PLACES["as an error handler"](new DOMException("gone", "AbortError"), { onError: heard });
    const response = await app.request(new Request("http://a.example/", { signal: AbortSignal.abort() }));
    expect([response.status, heard.mock.calls]).toEqual([499, []]);
  });
});

describe("headers", () => {
  it.each(["error handler", "middleware"])(
    "of other middleware stay, those of the failed answer do not win: %s",
    async (how) => {
      const app = new Hono().use(cors({ origin: "https://a.example" }));
      if (how === "middleware") app.use(coordinationErrors());
      else app.onError(coordinationErrors());
      app.get("/", (c) => {
        c.header("cache-control", "max-age=60");
        c.header("x-own", "1");
        throw new CoordinationError("conflict", "no");
      });
      const { headers } = await app.request("/", { headers: { origin: "https://a.example" } });
      expect(headers.get("access-control-allow-origin")).toBe("https://a.example");
      expect([headers.get("cache-control"), headers.get("x-own")]).toEqual(["no-store", "1"]);
      expect(headers.get("content-type")).toBe("application/problem+json");
    },
  );
});

describe("an error of the mounted routes", () => {
  const secret = "a-secret-of-the-tests";
  const fault = new CoordinationError("misconfigured", "Canary7f3a91");
  const coordinator = (): DrainableCoordinator => {
    throw fault;
  };
  const routes = () =>
    new Hono()
      .route("/drain", drainRoutes({ coordinator, secret: () => secret }))
      .route("/requests", requestStatusRoutes({ coordinator, stages: ["parse"], scope: () => "user" }));
  const PATHS = ["/drain", "/requests/a", "/requests/a/events"];
  const headers = { authorization: `Bearer ${secret}` };

  it.each(PATHS)("comes to the application's hook: %s", async (path) => {
    for (const mount of [
      (heard: Error[]) => new Hono().onError(coordinationErrors({ onError: (e) => heard.push(e) })),
      (heard: Error[]) => new Hono().use(coordinationErrors({ onError: (e) => heard.push(e) })),
    ]) {
      const heard: Error[] = [];
      const response = await mount(heard).route("/", routes()).request(path, { headers });
      expect([response.status, (await response.json()).detail]).toEqual([500, "the server is misconfigured"]);
      expect(heard).toEqual([fault]);
    }
  });

  it.each(PATHS)("is a problem also without a handler of the application's: %s", async (path) => {
    const response = await routes().request(path, { headers });
    expect([response.status, response.headers.get("content-type")]).toEqual([500, "application/problem+json"]);
    expect(await response.text()).not.toContain("Canary");
  });

  it("keeps its own status, and does not reach the hook, when the client caused it", async () => {
    const heard: Error[] = [];
    const app = new Hono().onError(coordinationErrors({ onError: (e) => heard.push(e) })).route("/", routes());
    const statuses = [(await app.request("/drain")).status, (await app.request("/requests/%C3%A4")).status];
    expect([statuses, heard]).toEqual([[401, 404], []]);
  });
});
