import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { HttpCoordinator, type HttpFetch, type HttpOptions } from "../../src/backends/http/index.js";
import { CompletionTracker, CoordinationError } from "../../src/index.js";
import { type Clock, systemClock } from "../../src/lib/clock.js";

const TOKEN = "Canary-token-of-tests";
const MAX_GZIP_BYTES = 9_900;

interface Sent {
  readonly url: string;
  readonly init: RequestInit;
  readonly body: Record<string, unknown>;
}

/** A client whose requests are answered one after the other; the last answer is repeated for all that follow. */
function scripted(answers: readonly (() => Response | Promise<Response>)[], options: Partial<HttpOptions> = {}) {
  const sent: Sent[] = [];
  const fetch: HttpFetch = async (url, init) => {
    sent.push({ url, init, body: JSON.parse(String(init.body)) });
    return (answers[Math.min(sent.length, answers.length) - 1] as () => Response)();
  };
  const base = { url: "https://worker.example/base/", token: TOKEN, random: () => 0, fetch };
  return { sent, c: new HttpCoordinator({ ...base, ...options }) };
}

const ok = (output: unknown) => () => Response.json({ protocol: 1, output });
const problem =
  (status: number, body: object, headers: Record<string, string> = {}) =>
  () =>
    new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json", ...headers } });
const down = problem(
  503,
  { code: "backend_unavailable", detail: "down", retryable: true, applied: "no" },
  { "retry-after": "0" },
);
const lost = (): never => {
  throw new TypeError(`fetch failed: https://worker.example Bearer ${TOKEN}`);
};

describe("a request", () => {
  it("carries the token, the id and the input, once", async () => {
    const { c, sent } = scripted([ok({ result: "3" })]);
    expect(await c.incr("key", 3)).toBe(3);
    expect(sent).toHaveLength(1);
    const [{ url, init, body }] = sent as [Sent];
    expect(url).toBe("https://worker.example/base/v1/run/kv/incr");
    expect(init).toMatchObject({ method: "POST", redirect: "manual" });
    expect(init.headers).toEqual({ authorization: `Bearer ${TOKEN}`, "content-type": "application/json" });
    expect(body).toEqual({
      id: "key",
      input: { op: expect.stringMatching(/^[0-9a-f]{32}$/), ttlMs: 3_600_000, delta: 3 },
    });
  });

  it("calls the fetch that is handed in by itself, as the platform's own has to be", async () => {
    const selves: unknown[] = [];
    async function own(this: unknown): Promise<Response> {
      selves.push(this);
      return Response.json({ protocol: 1, output: { result: "3" } });
    }
    expect(await scripted([], { fetch: own }).c.getInt("key")).toBe(3);
    expect(selves).toEqual([undefined]);
  });

  it("is sent again with the same op where that is harmless, three times at most", async () => {
    const { c, sent } = scripted([lost, down, ok({ set: true })]);
    expect(await c.setIfAbsent("key", 60)).toBe(true);
    expect(sent).toHaveLength(3);
    expect(new Set(sent.map(({ init }) => init.body)).size).toBe(1);
    const never = scripted([down]);
    await expect(never.c.setIfAbsent("key", 60)).rejects.toMatchObject({ code: "backend_unavailable", applied: "no" });
    expect(never.sent).toHaveLength(3);
  });

  it("is sent once where it is not, or where sending again would not help", async () => {
    for (const [answer, call] of [
      [down, (c: HttpCoordinator) => c.run("kv.incr", "key", { op: "op", ttlMs: 1, delta: 1 }, { resend: false })],
      [problem(422, { code: "invalid_input", detail: "x", retryable: false }), (c: HttpCoordinator) => c.getInt("key")],
      [
        problem(429, { code: "rate_limited", retryable: true }, { "retry-after": "6" }),
        (c: HttpCoordinator) => c.getInt("key"),
      ],
    ] as const) {
      const { c, sent } = scripted([answer]);
      await expect(call(c)).rejects.toBeInstanceOf(CoordinationError);
      expect(sent).toHaveLength(1);
    }
  });

  it("waits as long as the Worker asks, up to five seconds", async () => {
    const { c } = scripted([
      problem(429, { code: "rate_limited", retryable: true }, { "retry-after": "1" }),
      ok({ result: "1" }),
    ]);
    const startedMs = performance.now();
    expect(await c.getInt("key")).toBe(1);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(999);
    const patient = scripted([problem(429, { code: "rate_limited", retryable: true }, { "retry-after": "60" })]);
    await expect(patient.c.getInt("key")).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 60_000 });
  });

  it("reads Retry-After as a date too, and caps it at one hour", async () => {
    const clock: Clock = { ...systemClock, now: () => Date.UTC(2023, 10, 14, 22, 13, 20) };
    for (const [asked, retryAfterMs] of [
      ["Tue, 14 Nov 2023 22:14:20 GMT", 60_000],
      ["86400", 3_600_000],
      ["soon", undefined],
    ] as const) {
      const { c } = scripted([problem(429, { code: "rate_limited", retryable: false }, { "retry-after": asked })], {
        clock,
      });
      await expect(c.getInt("key")).rejects.toMatchObject({ code: "rate_limited", retryAfterMs });
    }
  });

  it("may have been applied when any of its copies may", async () => {
    const { c } = scripted([lost, down, down]);
    await expect(c.setIfAbsent("key", 60)).rejects.toMatchObject({ code: "backend_unavailable", applied: "unknown" });
  });

  it("ends with its signal, also between two attempts", async () => {
    const reason = new Error("enough");
    const late = problem(503, { code: "backend_unavailable", retryable: true }, { "retry-after": "4" });
    for (const answer of [late, () => new Promise<Response>(() => {})]) {
      const { c, sent } = scripted([answer]);
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 30);
      await expect(c.run("kv.getInt", "key", {}, { signal: controller.signal })).rejects.toBe(reason);
      await expect(c.run("kv.getInt", "key", {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(sent).toHaveLength(1);
    }
  });
});

describe("an answer", () => {
  const html = () => new Response("<html>", { headers: { "content-type": "text/html" } });
  const text = (body: string) => () => new Response(body);

  it.each([
    ["a page", html, "backend_unavailable", "unknown"],
    ["nothing", text(""), "backend_unavailable", "unknown"],
    ["a part", text('{"protocol":1,"output":{"set":tr'), "backend_unavailable", "unknown"],
    ["null", text("null"), "backend_rejected", "unknown"],
    ["another service's", text('{"output":{"set":true}}'), "backend_rejected", "unknown"],
    ["of another protocol", text('{"protocol":2,"output":{"set":true}}'), "unsupported", "unknown"],
    ["no output", text('{"protocol":1}'), "backend_rejected", "unknown"],
    ["a number", ok(3), "backend_rejected", "unknown"],
    ["a list", ok([{ set: true }]), "backend_rejected", "unknown"],
    ["no object", ok(null), "backend_rejected", "unknown"],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { location: "https://elsewhere.example" } }),
      "misconfigured",
      "no",
    ],
    ["401", () => new Response("", { status: 401 }), "unauthorized", "no"],
    ["403", () => new Response("", { status: 403 }), "unauthorized", "no"],
    ["404", () => new Response("", { status: 404 }), "misconfigured", "no"],
    ["413", () => new Response("", { status: 413 }), "limit_exceeded", "no"],
    ["418", () => new Response("", { status: 418 }), "backend_rejected", "no"],
    ["429", () => new Response("", { status: 429, headers: { "retry-after": "9" } }), "rate_limited", "no"],
    ["500", () => new Response("", { status: 500 }), "backend_unavailable", "unknown"],
    ["a code of a later version", problem(400, { code: "strange", detail: "x" }), "backend_rejected", "no"],
    ["an unknown transition", problem(404, { code: "not_found", detail: "x" }), "unsupported", "no"],
    [
      "an internal fault",
      problem(500, { code: "internal", retryable: false, applied: "unknown" }),
      "backend_unavailable",
      "unknown",
    ],
  ])("that is %s is an error", async (_, answer, code, applied) => {
    const { c } = scripted([answer]);
    await expect(c.run("kv.setIfAbsent", "key", { op: "op", ttlMs: 1 }, { resend: false })).rejects.toMatchObject({
      code,
      applied,
    });
  });

  it("of another protocol says what to do", async () => {
    const { c } = scripted([() => Response.json({ protocol: 2, output: { result: "1" } })]);
    await expect(c.getInt("key")).rejects.toThrow(/speaks protocol 2, this client 1: install one version/);
    await expect(c.getInt("key")).rejects.toMatchObject({ code: "unsupported", applied: "no", retryable: false });
  });

  it("may hold fields of a later version", async () => {
    const { c } = scripted([() => Response.json({ protocol: 1, output: { result: "1", more: 1 }, more: 1 })]);
    expect(await c.getInt("key")).toBe(1);
  });

  it("never has the token in its error, nor what was sent, nor a cause that quotes them", async () => {
    const echo = problem(422, { code: "invalid_input", detail: `no: Bearer ${TOKEN}` });
    for (const answer of [
      lost,
      echo,
      () => new Response(`Bearer ${TOKEN}`, { status: 500 }),
      () => new Response(TOKEN),
    ]) {
      const { c } = scripted([answer]);
      const error = await c.sadd("key", "Canary-value").catch((reason: unknown) => reason as CoordinationError);
      expect(error).toBeInstanceOf(CoordinationError);
      expect(`${(error as Error).stack} ${String((error as Error).cause)}`).not.toContain("Canary");
    }
  });
});

describe("a watch", () => {
  const ended = {
    ready: true,
    version: 1,
    view: {
      generation: 1,
      state: "completed",
      total: 0,
      succeeded: 0,
      failed: 0,
      remaining: 0,
      errors: [],
      delivery: { state: "none", attempts: 0 },
    },
  };

  it("is made of hops of 25 seconds at most", async () => {
    let nowMs = 0;
    const clock = { now: () => nowMs, setTimer: () => () => {} };
    const hop = () => {
      nowMs += 25_000;
      return Response.json({ protocol: 1, output: null });
    };
    const { c, sent } = scripted([hop, hop, ok(ended)], { clock });
    expect(await c.watch("completion.wait", "group", {}, { timeoutMs: 60_000 })).toEqual(ended);
    expect(sent.map(({ body }) => body)).toEqual([
      { id: "group", input: {}, timeoutMs: 25_000 },
      { id: "group", input: {}, timeoutMs: 25_000 },
      { id: "group", input: {}, timeoutMs: 10_000 },
    ]);
    expect(sent[0]?.url).toBe("https://worker.example/base/v1/watch/completion/wait");
  });

  it("looks once with no time at all, and then says what went wrong", async () => {
    const { c, sent } = scripted([ok({ ready: false, version: 1 })]);
    await expect(c.watch("completion.wait", "group", {}, { timeoutMs: 0 })).rejects.toMatchObject({
      code: "wait_timeout",
    });
    expect(sent.map(({ url }) => url)).toEqual(["https://worker.example/base/v1/run/completion/wait"]);
    const failing = scripted([down, down, down]);
    const look = failing.c.watch("completion.wait", "group", {}, { timeoutMs: 0 });
    await expect(look).rejects.toMatchObject({ code: "backend_unavailable", applied: "no" });
  });

  it("row 54: outlives one connection that breaks under a single look, as a status does", async () => {
    const { c, sent } = scripted([down, ok({ ready: true, version: 1 })]);
    expect(await c.watch("completion.wait", "group", {}, { timeoutMs: 0 })).toEqual({ ready: true, version: 1 });
    expect(sent).toHaveLength(2);
  });

  it("goes on when the answer is not ready, and ends with one that tells of nothing", async () => {
    const { c, sent } = scripted([ok({ ready: false, version: 1, recheckInMs: 5 }), ok({ ready: true, version: 1 })]);
    expect(await c.watch("request.wait", "request", {}, { timeoutMs: 5_000 })).toEqual({ ready: true, version: 1 });
    expect(sent).toHaveLength(2);
    // A generation that stands no more.
    const gone = scripted([ok({ ready: true, version: 1 })]).c.watch(
      "completion.wait",
      "g",
      { generation: 1 },
      { timeoutMs: 5_000 },
    );
    expect(await gone).toEqual({ ready: true, version: 1 });
  });

  it("does not ask in a loop what answers without waiting", async () => {
    const { c, sent } = scripted([ok(null)]);
    await expect(c.watch("completion.wait", "group", {}, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: "wait_timeout",
    });
    expect(sent.length).toBeLessThanOrEqual(5);
  });

  it("ends with what does not pass: a token that is refused", async () => {
    const { c, sent } = scripted([problem(401, { code: "unauthorized", detail: "no" })]);
    await expect(c.watch("completion.wait", "group", {}, { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: "unauthorized",
    });
    expect(sent).toHaveLength(1);
  });
});

describe("new HttpCoordinator", () => {
  const make = (options: Partial<HttpOptions>) =>
    new HttpCoordinator({ url: "https://worker.example", token: TOKEN, ...options });

  it.each([
    "https://worker.example",
    "https://worker.example:8443/some/path/",
    "http://localhost:8787",
    "http://127.0.0.1:8787",
    "http://[::1]:8787",
    "http://worker.localhost",
  ])("takes %s", (url) => {
    expect(make({ url }).isDistributed).toBe(true);
  });

  it.each([
    "",
    "worker.example",
    "ftp://worker.example",
    "http://worker.example",
    "http://127.0.0.1.example",
    "http://localhost.example",
    "http://10.0.0.1",
    "https://Canary:Canary@worker.example",
    "https://worker.example/?Canary=1",
    "https://worker.example/#Canary",
    "Canary not a URL",
  ])("refuses %s without quoting it", (url) => {
    const fault = (() => {
      try {
        return make({ url });
      } catch (error) {
        return error as Error;
      }
    })();
    expect(fault).toMatchObject({ code: "misconfigured" });
    expect(String((fault as Error).stack).split("\n")[0]).not.toContain("Canary");
  });

  it("accepts http to any host with allowHttp", () => {
    expect(make({ url: "http://worker.example", allowHttp: true }).defaultTtlSec).toBe(3_600);
  });

  it.each([undefined, "", "Canary\n", "Canary token", "Canaryü"])(
    "refuses the token %j without quoting it",
    (token) => {
      expect(() => make({ token: token as string })).toThrow(/^token must be a text of visible ASCII characters$/);
    },
  );

  it("checks its options", () => {
    expect(() => make({ ttlSec: 0 })).toThrow(/ttlSec/);
    expect(() => make({ requestTimeoutMs: 0 })).toThrow(/requestTimeoutMs/);
    expect(() => make({ completionTimeoutSec: -1 })).toThrow(/completionTimeoutSec/);
    expect(make({ completionTimeoutSec: 5 }).completionTimeoutSec).toBe(5);
  });

  it("refuses handlers, and names the Worker's object as the place that runs them", () => {
    const retry = { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 };
    for (const options of [{ handlers: { x: () => {} } }, { retry }, { attemptTimeoutSec: 300 }]) {
      expect(() => new CompletionTracker(make({}), options)).toThrow(
        expect.objectContaining({ code: "unsupported", message: expect.stringMatching(/Worker's object.* retry/) }),
      );
    }
    expect(() => new CompletionTracker(make({}), { env: {}, timeoutSec: 5 })).not.toThrow();
  });

  it(`bundles to ${MAX_GZIP_BYTES} bytes at most, with no package and no machine in it`, async () => {
    const { outputFiles, metafile } = await build({
      entryPoints: [fileURLToPath(new URL("../../src/backends/http/index.ts", import.meta.url))],
      bundle: true,
      minify: true,
      platform: "neutral",
      format: "esm",
      metafile: true,
      write: false,
    });
    expect(Object.keys(metafile.inputs).filter((path) => /node_modules|src\/core\/(?!limits)/.test(path))).toEqual([]);
    expect(gzipSync(outputFiles[0]?.text ?? "").length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  });
});
