import { createHash } from "node:crypto";
import { Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Bench, held, makeBench } from "./bench.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const DONE = { parse: { ...none, total: 1, processed: 1 }, embed: none };
const WAIT = { prefer: "wait=10" };

afterEach(() => vi.restoreAllMocks());

const idOf = (bench: Bench): string => bench.ids.at(-1) ?? "";

describe("the request's id", () => {
  const idFor = async (headers: Record<string, string>, options = {}): Promise<string | null> => {
    const bench = makeBench(options);
    const response = await bench.post(headers);
    const id = response.headers.get("x-request-id");
    // One id, on each of its ways.
    expect(response.headers.get("location")).toBe(id === null ? null : `/requests/${encodeURIComponent(id)}`);
    return id;
  };

  it.each([
    "a",
    "order:4711",
    "0d9cf5c5-9a67-4c4d-a7f2-7ffb4f04f1a0",
    "Root=1-67891233-abcdef012345678912345678",
    "a.b_c~d+e=",
    "x".repeat(128),
  ])("is the client's key as it stands, where it is safe in a path: %s", async (key) => {
    expect(await idFor({ "idempotency-key": key })).toBe(key);
    expect(await idFor({ "x-request-id": key })).toBe(key);
  });

  it.each([
    ["base64", "q83vEjRWeJA/+w=="],
    ["a path", "a/b"],
    ["a step upwards", ".."],
    ["a step on the spot", "."],
    ["a blank", "a b"],
    ["a list", "a, b"],
    ["percent signs", "%2e%2e"],
    ["markup", "<script>"],
    ["a backslash", "a\\b"],
    ["a quote", 'a"b'],
    ["longer than a path should hold", "x".repeat(129)],
    ["the longest", "~".repeat(255)],
    ["the form of a digest", `sha256-${"0".repeat(64)}`],
  ])("row 68: is the digest of the client's key, where that is not safe in a path: %s", async (_, key) => {
    const digest = `sha256-${createHash("sha256").update(key).digest("hex")}`;
    expect(await idFor({ "idempotency-key": key })).toBe(digest);
    expect(await idFor({ "x-request-id": key })).toBe(digest);
  });

  it("row 68: finds the request again, by whatever key it was named, at Location and by the key itself", async () => {
    for (const key of ["order:4711", "q83vEjRWeJA/+w==", "%2e%2e", "a b", "~".repeat(255)]) {
      const bench = makeBench();
      const first = await bench.post({ "idempotency-key": key });
      const second = await bench.post({ "idempotency-key": key });
      expect(second.headers.get("x-request-id")).toBe(first.headers.get("x-request-id"));
      expect(new Set(bench.ids).size).toBe(1);
      for (const path of [first.headers.get("location") ?? "", `/requests/${encodeURIComponent(key)}`]) {
        const status = await bench.get(path);
        expect([status.status, (await status.json()).id]).toEqual([200, first.headers.get("x-request-id")]);
      }
    }
  });

  it("row 68: is one for two keys never, though one is the digest of the other", async () => {
    const bench = makeBench();
    const first = await bench.post({ "idempotency-key": "a/b" });
    await bench.post({ "idempotency-key": first.headers.get("x-request-id") ?? "" });
    expect(new Set(bench.ids).size).toBe(2);
  });

  it.each([
    ['"abc"', "abc"],
    ['"8e03978e-40d5"', "8e03978e-40d5"],
    ['"a\\"b"', 'a"b'],
    ['"a\\\\b"', "a\\b"],
  ])("row 68: is one for a key in quotes, as its draft has it, and bare: %s", async (quoted, bare) => {
    expect(await idFor({ "idempotency-key": quoted })).toBe(await idFor({ "idempotency-key": bare }));
  });

  it.each([
    ["idempotency-key", "empty", ""],
    ["idempotency-key", "empty, in quotes", '""'],
    ["idempotency-key", "too long", "x".repeat(256)],
    ["idempotency-key", "other letters", "\u00e4"],
    ["idempotency-key", "a control character", "a\u0001b"],
    ["idempotency-key", "a tab", "a\tb"],
    ["idempotency-key", "a quote that is not closed", '"abc'],
    ["idempotency-key", "quotes within quotes", '"a"b"'],
    ["idempotency-key", "two of them in quotes", '"a", "b"'],
    ["idempotency-key", "a backslash before another character", '"a\\b"'],
    ["x-request-id", "empty", ""],
    ["x-request-id", "too long", "x".repeat(256)],
    ["x-request-id", "other letters", "\u00e4"],
  ])("row 68: is refused, and never replaced, for a %s that is no key: %s", async (header, _, key) => {
    const bench = makeBench();
    const response = await bench.post({ [header]: key });
    expect([response.status, response.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    const { code, detail } = await response.json();
    expect([code, detail.toLowerCase()]).toEqual(["malformed", expect.stringContaining(header)]);
    expect([bench.ids, bench.coordinator.size]).toEqual([[], 0]);
  });

  it("row 68: is refused with the headers that middleware has set", async () => {
    const bench = makeBench();
    const app = new Hono()
      .use(async (c, next) => {
        c.header("x-frame-options", "deny");
        await next();
      })
      .route("/", bench.app);
    const refused = await app.request("/work", { method: "POST", headers: { "idempotency-key": "" } });
    expect([refused.status, refused.headers.get("x-frame-options")]).toEqual([400, "deny"]);
    const unknown = await app.request("/requests/unknown");
    expect([unknown.status, unknown.headers.get("x-frame-options")]).toEqual([404, "deny"]);
  });

  it("row 67: is the client's own key, before what a proxy has written", async () => {
    const bench = makeBench();
    for (const traced of ["proxy-1", "proxy-2"]) {
      const response = await bench.post({ "idempotency-key": "key-1", "x-request-id": traced });
      expect(response.headers.get("x-request-id")).toBe("key-1");
    }
    expect(new Set(bench.ids).size).toBe(1);
    // What a proxy writes is no reason to refuse a request that has a key.
    expect(await idFor({ "idempotency-key": "key-1", "x-request-id": "\u00e4" })).toBe("key-1");
  });

  it("is a fresh one where the client gives none", async () => {
    expect(await idFor({})).toMatch(UUID);
  });

  it("is the application's, when it says which", async () => {
    expect(await idFor({ "idempotency-key": "key-1" }, { requestId: () => "mine" })).toBe("mine");
    expect(await idFor({ "idempotency-key": "key-1" }, { requestId: () => undefined })).toMatch(UUID);
    expect(await idFor({}, { requestId: () => "a/b" })).toMatch(/^sha256-/);
    for (const none of ["", "\u00e4", "x".repeat(256), 5]) {
      const response = await makeBench({ requestId: () => none as string }).post();
      expect([none, response.status]).toEqual([none, 400]);
    }
  });

  it("goes into messages as it stands: a worker needs no scope", async () => {
    const bench = makeBench({ scope: () => "alice@example.com" });
    const waiting = await held(bench.post({ ...WAIT, "x-request-id": "r" }));
    expect(idOf(bench)).not.toBe("r");
    await bench.worker.ack(idOf(bench), "parse", "a");
    const response = await waiting.response;
    expect([response.status, response.headers.get("x-request-id")]).toEqual([200, "r"]);
  });
});

describe("another user's request (row 40)", () => {
  const scope = (c: { req: { header(name: string): string | undefined } }): string => c.req.header("x-user") ?? "";
  const as = (user: string, more: Record<string, string> = {}) => ({
    "x-user": user,
    "x-request-id": "shared",
    ...more,
  });

  it.each(["x-request-id", "idempotency-key"])("is not joined, told or held up by its %s", async (header) => {
    const bench = makeBench({ scope });
    const of = (user: string) => ({ "x-user": user, [header]: "shared", prefer: "wait=5" });
    const alice = await held(bench.post(of("alice")));
    await bench.worker.fail(idOf(bench), "parse", "a", "secret of alice");
    expect((await (await alice.response).json()).queueStatus.parse.errorCount).toBe(1);
    const bob = await held(bench.post(of("bob")));
    expect(bob.isHeld()).toBe(true);
    await bench.worker.ack(idOf(bench), "parse", "a");
    expect((await (await bob.response).json()).queueStatus).toEqual(DONE);
    expect(new Set(bench.ids).size).toBe(2);
  });

  it("is unknown to the status, to a waiter and to events", async () => {
    const bench = makeBench({ scope });
    await bench.post(as("alice"));
    await bench.worker.count(idOf(bench), "parse", { error: "secret of alice" });
    for (const [path, headers] of [
      ["/requests/shared", {}],
      ["/requests/shared", { prefer: "wait=5" }],
      ["/requests/shared/events", {}],
      ["/requests/shared/events", { "last-event-id": "5" }],
      // The record's own name, should it ever become known.
      [`/requests/${encodeURIComponent(idOf(bench))}`, {}],
    ] as const) {
      const response = await bench.get(path, as("bob", headers));
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.text()).not.toContain("alice");
      expect((await bench.get("/requests/shared", as("alice"))).status).toBe(200);
    }
  });

  it("has another record, whatever the two say: no pair of scope and id passes for another", async () => {
    const bench = makeBench({ scope });
    const long = "x".repeat(2_000);
    // A user may have the digest of a long scope as a name.
    const pairs = [
      ["a", "bc"],
      ["ab", "c"],
      ["a1", "b"],
      ["a", "1b"],
      ["1:a", "b"],
      [long, "b"],
      [`${long}x`, "b"],
      ["ü", "b"],
    ];
    for (const [user = "", id = ""] of pairs) {
      await bench.post({ "x-user": encodeURI(user), "x-request-id": id });
    }
    await bench.post({ "x-user": bench.ids[5]?.slice(3, 68) ?? "", "x-request-id": "b" });
    expect(new Set(bench.ids).size).toBe(pairs.length + 1);
    for (const id of bench.ids) expect(id.length).toBeLessThan(256);
  });

  it("is unreachable without a scope: a missing scope is an error, not a scope that all users share", async () => {
    for (const broken of [() => "", () => undefined as unknown as string, () => 5 as unknown as string]) {
      const bench = makeBench({ scope: broken });
      for (const response of [
        await bench.post(),
        await bench.get("/requests/a"),
        await bench.get("/requests/a/events"),
      ]) {
        expect([response.status, (await response.json()).code]).toEqual([500, "misconfigured"]);
      }
      expect([bench.ids, bench.coordinator.size]).toEqual([[], 0]);
    }
  });
});
