import { describe, expect, it } from "vitest";
import { idempotency } from "../../src/hono/index.js";
import { DedupeWindow, MemoryCoordinator } from "../../src/index.js";
import { gate, makeApp, refused, seen } from "./idempotency-app.js";

describe("the run of a key", () => {
  it("gives a duplicate the first response, and runs the handler once", async () => {
    const { pay, ran } = makeApp();
    expect(await seen(await pay())).toEqual({ status: 201, isReplay: false, text: "payment 1" });
    expect(await seen(await pay())).toEqual({ status: 201, isReplay: true, text: "payment 1" });
    expect(ran()).toBe(1);
    expect(await seen(await pay({ key: "other" }))).toMatchObject({ isReplay: false, text: "payment 2" });
  });

  it("runs the handler once for fifty duplicates at the same time: the others get 409 with Retry-After", async () => {
    const { passed, open } = gate();
    const { pay, ran } = makeApp(async (c) => {
      await passed;
      return c.text("done");
    });
    const all = Array.from({ length: 50 }, () => pay());
    // Any of them may be the one that runs: their keys are digested by other threads.
    const others: Response[] = [];
    for (const one of all) void one.then((response) => others.push(response));
    await expect.poll(() => others.length).toBe(49);
    for (const response of others.slice()) {
      expect(response.headers.get("retry-after")).toBe("1");
      expect(await refused(response)).toEqual([409, "in_progress"]);
    }
    open();
    expect((await Promise.all(all)).filter(({ status }) => status === 200)).toHaveLength(1);
    expect(ran()).toBe(1);
  });

  it("waits for the first response, where it is asked to", async () => {
    const { passed, open } = gate();
    const slow = makeApp(
      async (c) => {
        await passed;
        return c.text("done");
      },
      { onInFlight: "wait" },
    );
    const all = Array.from({ length: 5 }, () => slow.pay());
    await expect.poll(slow.ran).toBe(1);
    open();
    const answers = await Promise.all((await Promise.all(all)).map(seen));
    expect(answers.filter(({ isReplay }) => isReplay)).toHaveLength(4);
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(["done"]));
    expect(slow.ran()).toBe(1);
  });

  it("answers 409 after waitMs", async () => {
    const { passed, open } = gate();
    const slow = makeApp(
      async (c) => {
        await passed;
        return c.text("done");
      },
      { onInFlight: "wait", waitMs: 0 },
    );
    const first = slow.pay();
    await expect.poll(slow.ran).toBe(1);
    expect(await refused(await slow.pay())).toEqual([409, "in_progress"]);
    open();
    await first;
  });

  it("forgets the response after ttlSec", async () => {
    const { clock, pay, ran } = makeApp(undefined, { ttlSec: "1h" });
    await pay();
    await clock.advance(3_599_000);
    expect((await seen(await pay())).isReplay).toBe(true);
    await clock.advance(1_000);
    expect((await seen(await pay())).isReplay).toBe(false);
    expect(ran()).toBe(2);
  });

  it("runs the handler again after a crash, once the lease is over, and a higher fencing token tells it", async () => {
    const tokens: unknown[] = [];
    const crashed = new Promise<Response>(() => {});
    const { clock, pay, ran } = makeApp((c, nth) => {
      tokens.push(c.var.idempotency.fencingToken);
      return nth === 1 ? crashed : c.text("done");
    });
    pay();
    await expect.poll(ran).toBe(1);
    await clock.advance(29_999);
    expect(await refused(await pay())).toEqual([409, "in_progress"]);
    await clock.advance(1);
    expect(await seen(await pay())).toMatchObject({ status: 200, isReplay: false });
    expect(Number(tokens[1])).toBeGreaterThan(Number(tokens[0]));
  });

  it("sends the response of a run that has lost its lease, and reports it", async () => {
    const { passed, open } = gate();
    const { clock, events, pay, ran } = makeApp(async (c, nth) => {
      if (nth === 1) await passed;
      return c.text(`payment ${nth}`);
    });
    const late = pay();
    await expect.poll(ran).toBe(1);
    await clock.advance(30_001);
    await pay();
    open();
    expect(await seen(await late)).toMatchObject({ status: 200, text: "payment 1" });
    expect(events).toMatchObject([
      { type: "lease_lost", machine: "dedupe", reason: "taken" },
      { type: "followup_failed", transition: "dedupe.finish", error: { code: "conflict" } },
    ]);
    expect((await seen(await pay())).text).toBe("payment 2");
  });

  it("gives the handler the key, a fencing token and a signal", async () => {
    const runs: unknown[] = [];
    const { pay } = makeApp((c) => {
      runs.push(c.var.idempotency);
      return c.text("done");
    });
    await pay({ key: '"a key"' });
    await pay({ key: "" });
    expect(runs).toEqual([
      { key: "a key", fencingToken: expect.any(Number), signal: expect.any(AbortSignal) },
      { key: undefined, fencingToken: undefined, signal: expect.any(AbortSignal) },
    ]);
  });

  it("is forgotten by a DedupeWindow of the same namespace", async () => {
    const { coordinator, pay, ran } = makeApp();
    await pay();
    expect(await new DedupeWindow(coordinator, { namespace: "idempotency" }).forget(["user", "k"])).toBe(true);
    await pay();
    expect(ran()).toBe(2);
  });
});

describe("keys", () => {
  it.each([
    ["a bare and a quoted key are one", "abc", '"abc"'],
    ["a quoted key with escapes", 'a"b\\c', '"a\\"b\\\\c"'],
    ["255 characters, with / and :", `a/b:c ${"x".repeat(249)}`, `a/b:c ${"x".repeat(249)}`],
  ])("%s", async (_, first, second) => {
    const { pay, ran } = makeApp();
    expect((await pay({ key: first })).status).toBe(201);
    expect((await seen(await pay({ key: second }))).isReplay).toBe(true);
    expect(ran()).toBe(1);
  });

  it.each(["x".repeat(256), "é", '"a', '""'])("refuses a malformed key with 400: %s", async (key) => {
    const { pay, ran } = makeApp();
    expect(await refused(await pay({ key }))).toEqual([400, "malformed"]);
    expect(ran()).toBe(0);
  });

  it("refuses a missing key with 400 only where it is required, with a type, a title and a link", async () => {
    const { pay, ran } = makeApp(undefined, { required: true });
    const response = await pay({ key: "" });
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("link")).toContain("idempotency-key-header");
    expect(await response.json()).toMatchObject({
      type: "urn:problem-type:edge-coordinator:idempotency-key-missing",
      title: "Idempotency-Key is missing",
      status: 400,
      code: "malformed",
    });
    expect(ran()).toBe(0);
    const optional = makeApp();
    expect([(await optional.pay({ key: "" })).status, (await optional.pay({ key: "" })).status]).toEqual([201, 201]);
    expect(optional.ran()).toBe(2);
  });

  it("takes the key of a function, which may read the body", async () => {
    const key = async (c: { req: { json(): Promise<{ id: string }> } }) => (await c.req.json()).id;
    const { pay, ran } = makeApp(undefined, { key, fingerprint: () => "event" });
    await pay({ key: "", body: '{"id":"evt_1","pending_webhooks":2}' });
    expect((await seen(await pay({ key: "", body: '{"id":"evt_1","pending_webhooks":1}' }))).isReplay).toBe(true);
    expect(ran()).toBe(1);
  });

  it("separates the keys of two scopes, and shows neither the other's response", async () => {
    const { pay, ran } = makeApp();
    await pay({ headers: { "x-user": "alice" } });
    expect(await seen(await pay({ headers: { "x-user": "bob" } }))).toMatchObject({
      isReplay: false,
      text: "payment 2",
    });
    expect(ran()).toBe(2);
  });

  it("refuses a scope that is empty", async () => {
    const { pay, ran } = makeApp(undefined, { scope: () => "" });
    expect(await refused(await pay())).toEqual([500, "misconfigured"]);
    expect(ran()).toBe(0);
  });

  it("takes only keys in the public scope that no stranger guesses", async () => {
    const { pay, ran } = makeApp(undefined, { scope: "public" });
    expect(await refused(await pay({ key: "1" }))).toEqual([400, "malformed"]);
    const key = crypto.randomUUID();
    await pay({ key });
    expect((await seen(await pay({ key }))).isReplay).toBe(true);
    expect(await refused(await pay({ key, body: "another" }))).toEqual([422, "mismatch"]);
    expect((await pay({ key: "x".repeat(32) })).status).toBe(201);
    expect(ran()).toBe(2);
  });
});

describe("methods", () => {
  it.each(["GET", "HEAD", "OPTIONS"])("passes %s, also without a key that is required", async (method) => {
    const { pay, ran } = makeApp(undefined, { required: true });
    for (const key of ["k", "k", ""]) expect((await pay({ key, method })).status).toBe(201);
    expect(ran()).toBe(3);
  });

  it.each(["POST", "PUT", "PATCH", "DELETE"])("guards %s", async (method) => {
    const { pay, ran } = makeApp();
    await pay({ method });
    expect((await seen(await pay({ method }))).isReplay).toBe(true);
    expect(ran()).toBe(1);
  });
});

describe("a backend that fails", () => {
  it("before the handler: 503, and the handler does not run", async () => {
    const coordinator = new MemoryCoordinator();
    coordinator.run = () => Promise.reject(new Error("away"));
    const { pay, ran } = makeApp(undefined, { coordinator });
    expect((await pay()).status).toBeGreaterThanOrEqual(500);
    expect(ran()).toBe(0);
  });

  it.each([
    [201, "dedupe.finish"],
    [500, "dedupe.fail"],
  ])("after the handler: the response %d is sent, with an event", async (status, transition) => {
    const coordinator = new MemoryCoordinator();
    const { events, pay, ran } = makeApp(
      (c) => {
        coordinator.run = () => Promise.reject(new Error("away"));
        return c.text("done", status as 201);
      },
      { coordinator },
    );
    expect((await pay()).status).toBe(status);
    expect(events).toMatchObject([{ type: "followup_failed", transition }]);
    expect(ran()).toBe(1);
  });

  it("that is silent after the handler delays its response by a second at most", async () => {
    const coordinator = new MemoryCoordinator();
    const { pay } = makeApp(
      (c) => {
        coordinator.run = () => new Promise(() => {});
        return c.text("done");
      },
      { coordinator },
    );
    const startedMs = performance.now();
    expect((await pay()).status).toBe(200);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
  });

  it("keeps no value that it refuses, and still runs the handler once", async () => {
    const coordinator = new MemoryCoordinator();
    const { events, pay, ran } = makeApp(undefined, { coordinator });
    const run = coordinator.run.bind(coordinator);
    const { CoordinationError } = await import("../../src/index.js");
    coordinator.run = (async (name: "dedupe.finish", id: string, input: { value?: string }, options: object) => {
      if (name === "dedupe.finish" && input.value !== undefined)
        throw new CoordinationError("invalid_input", "too large");
      return run(name, id, input as never, options);
    }) as typeof coordinator.run;
    expect((await pay()).status).toBe(201);
    expect(await refused(await pay())).toEqual([409, "result_not_kept"]);
    expect([ran(), events.length]).toEqual([1, 1]);
  });
});

describe("a client that disconnects", () => {
  it("does not stop the handler, and gets its response when it comes back", async () => {
    const { passed, open } = gate();
    const signals: AbortSignal[] = [];
    const { pay, ran } = makeApp(async (c) => {
      signals.push(c.var.idempotency.signal);
      await passed;
      return c.text("done");
    });
    const leaving = new AbortController();
    const gone = pay({ signal: leaving.signal });
    await expect.poll(ran).toBe(1);
    leaving.abort();
    expect(await refused(await pay())).toEqual([409, "in_progress"]);
    open();
    await gone;
    expect(await seen(await pay())).toMatchObject({ isReplay: true, text: "done" });
    expect([ran(), signals[0]?.aborted]).toEqual([1, false]);
  });

  it("before the handler has begun leaves the key free", async () => {
    const { pay, ran } = makeApp();
    await pay({ signal: AbortSignal.abort() });
    expect(ran()).toBe(0);
    expect((await pay()).status).toBe(201);
  });

  it("is outlived on Workers by waitUntil, which holds the whole run", async () => {
    const { passed, open } = gate();
    const { app } = makeApp(async (c) => {
      await passed;
      return c.text("done");
    });
    const held: Promise<unknown>[] = [];
    const ctx = { waitUntil: (work: Promise<unknown>) => held.push(work), passThroughOnException() {}, props: {} };
    const request = new Request("http://a.example/pay/a", { method: "POST", headers: { "idempotency-key": "k" } });
    const response = app.fetch(request, {}, ctx as never);
    await expect.poll(() => held.length).toBe(1);
    open();
    await Promise.all(held);
    expect((await response).status).toBe(200);
  });
});

describe("options", () => {
  const valid = { coordinator: new MemoryCoordinator(), scope: () => "user" };
  it.each([
    [{ scope: "users" }, /^scope must be/],
    [{ onInFlight: "skip" }, /^onInFlight must be/],
    [{ leaseSec: 0 }, /^leaseSec must be/],
    [{ ttlSec: 0 }, /^ttlSec must be/],
    [{ waitMs: 600_001 }, /^waitMs must be/],
    [{ headers: ["Set-Cookie"] }, /^headers must not hold set-cookie/],
    [{ headers: ["a b"] }, /^headers must be a list/],
    [{ store: true }, /^store must be/],
    [{ fingerprint: "x" }, /^fingerprint must be/],
    [{ key: "x" }, /^key must be/],
    [{ required: 1 }, /^required must be/],
    [{ leaseSecs: 1 }, /did you mean leaseSec\?/],
  ])("refuses %j", (options, message) => {
    expect(() => idempotency({ ...valid, ...options } as never)).toThrow(message);
  });

  it("refuses a missing coordinator, and no options", () => {
    expect(() => idempotency({ scope: "public" } as never)).toThrow(/coordinator/);
    expect(() => idempotency(undefined as never)).toThrow(/options must be an object/);
  });
});
