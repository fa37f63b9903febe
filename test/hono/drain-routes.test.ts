import { readdirSync, readFileSync } from "node:fs";
import { Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type DrainRoutesOptions, drainRoutes } from "../../src/hono/index.js";
import {
  CoordinationError,
  type Coordinator,
  type Drainable,
  type DrainOptions,
  type DrainReport,
  MemoryCoordinator,
} from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

const FIRST = "first-secret-of-tests";
const SECOND = "second-secret-of-tests";

afterEach(() => vi.restoreAllMocks());

/** A coordinator that returns a scripted report, and remembers its calls. */
function draining(
  reports: readonly Partial<DrainReport>[] = [],
  onDrain: () => unknown = () => {},
): Coordinator & Drainable & { readonly asked: DrainOptions[] } {
  const asked: DrainOptions[] = [];
  const drain = async (options: DrainOptions = {}): Promise<DrainReport> => {
    const report = reports[asked.push(options) - 1] ?? {};
    await onDrain();
    return { woken: 0, left: false, nextDueAtMs: undefined, ...report };
  };
  return Object.assign(new MemoryCoordinator(), { drain, asked });
}

function appOf(options: Partial<DrainRoutesOptions> & Pick<DrainRoutesOptions, "coordinator">) {
  const app = new Hono().route("/drain", drainRoutes({ secret: `${FIRST} ${SECOND}`, ...options }));
  return async (authorization?: string, method = "GET"): Promise<Response> =>
    app.request("/drain", { method, headers: authorization === undefined ? {} : { authorization } });
}

describe("a caller with a live secret", () => {
  it.each([
    ["GET", `Bearer ${FIRST}`],
    ["POST", `Bearer ${SECOND}`],
    ["POST", `bearer  ${SECOND} `],
  ])("drains: %s %s", async (method, authorization) => {
    const coordinator = draining([{ woken: 3, nextDueAtMs: 5 }]);
    const response = await appOf({ coordinator })(authorization, method);
    expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(await response.json()).toEqual({ woken: 3, left: false, nextDueAtMs: 5 });
    expect(coordinator.asked).toEqual([{ limit: 100, budgetMs: 10_000 }]);
  });

  it("drains again while something is left that can be woken, and tells the sum", async () => {
    const clock = new ManualClock();
    const passes = [
      { woken: 100, left: true },
      { woken: 20, left: true },
      { woken: 1, left: false },
    ];
    const coordinator = draining(passes, () => clock.advance(300));
    const response = await appOf({ coordinator, clock, limit: 100, budgetMs: 1_000 })(`Bearer ${FIRST}`);
    expect(await response.json()).toEqual({ woken: 121, left: false, nextDueAtMs: null });
    expect(coordinator.asked.map(({ budgetMs }) => budgetMs)).toEqual([1_000, 700, 400]);
  });

  it("stops when the time is over, and when what is left cannot be woken", async () => {
    const clock = new ManualClock();
    const endless = draining(Array(99).fill({ woken: 1, left: true }), () => clock.advance(400));
    const response = await appOf({ coordinator: endless, clock, budgetMs: 1_000 })(`Bearer ${FIRST}`);
    expect([await response.json(), endless.asked.length]).toEqual([{ woken: 3, left: true, nextDueAtMs: null }, 3]);
    const stuck = draining(Array(99).fill({ woken: 0, left: true }));
    expect((await (await appOf({ coordinator: stuck })(`Bearer ${FIRST}`)).json()).left).toBe(true);
    expect(stuck.asked).toHaveLength(1);
  });

  it("asks for no pass of no time, however the clock goes on meanwhile", async () => {
    let nowMs = 0;
    // One more at each look: the last one before the end would be followed by the end itself.
    const clock = Object.assign(new ManualClock(), { now: () => nowMs++ });
    const endless = draining(Array(99).fill({ woken: 1, left: true }));
    await appOf({ coordinator: endless, clock, budgetMs: 2 })(`Bearer ${FIRST}`);
    expect(endless.asked.map(({ budgetMs }) => budgetMs)).toEqual([2, 1]);
  });

  it("gets the coordinator's error: that it has no drain, or that its backend is unavailable", async () => {
    const unsupported = await appOf({ coordinator: new MemoryCoordinator() as never })(`Bearer ${FIRST}`);
    expect([unsupported.status, (await unsupported.json()).code]).toEqual([501, "unsupported"]);
    const away = draining([], () => {
      throw new CoordinationError("backend_unavailable", "no answer", { retryable: true, applied: "unknown" });
    });
    const response = await appOf({ coordinator: away })(`Bearer ${FIRST}`);
    expect([response.status, (await response.json()).code]).toEqual([503, "backend_unavailable"]);
  });
});

describe("a caller without one", () => {
  it.each([
    ["nothing", undefined],
    ["another scheme", `Basic ${FIRST}`],
    ["no secret", "Bearer"],
    ["the secret alone", FIRST],
    ["a wrong one", "Bearer wrong-secret-of-tests"],
    ["a part", `Bearer ${FIRST.slice(0, -1)}`],
    ["more", `Bearer ${FIRST}x`],
    ["another case", `Bearer ${FIRST.toUpperCase()}`],
    ["both", `Bearer ${FIRST} ${SECOND}`],
    ["both in one", `Bearer ${FIRST},${SECOND}`],
    ["a very long one", `Bearer ${"x".repeat(5_000)}`],
    ["undefined", "Bearer undefined"],
    [
      "other letters",
      "Bearer \u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4",
    ],
  ])("is refused, and reaches neither the coordinator nor its storage: %s", async (_, authorization) => {
    const drains = draining();
    const made = vi.fn(() => drains);
    const ask = appOf({ coordinator: made });
    for (const method of ["GET", "POST"]) {
      const response = await ask(authorization, method);
      expect([response.status, (await response.json()).code]).toEqual([401, "unauthorized"]);
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer realm="drain"/);
    }
    expect(made).not.toHaveBeenCalled();
    expect(drains.asked).toEqual([]);
  });

  it("has each live secret compared, whichever comes", async () => {
    const sign = vi.spyOn(crypto.subtle, "sign");
    const ask = appOf({ coordinator: draining() });
    for (const secret of [FIRST, SECOND, "x", "y".repeat(500)]) {
      sign.mockClear();
      await ask(`Bearer ${secret}`);
      expect(sign).toHaveBeenCalledTimes(3);
    }
  });

  it("is never told by an equality operator", () => {
    const folder = new URL("../../src/hono/", import.meta.url);
    const secret = /\b(presented|secret|secrets|matches|authorization)\b/i;
    const faults = readdirSync(folder).flatMap((name) =>
      readFileSync(new URL(name, folder), "utf8")
        .split("\n")
        .filter((line) => !/^\s*(\*|\/)/.test(line))
        .flatMap((line) => [...line.matchAll(/(\S+)\s*[!=]==?\s*(\S+)/g)])
        .filter(([, , right = ""]) => !/^(undefined|""|"function"|"string"|0)/.test(right))
        .map(([text]) => text)
        .filter((text) => secret.test(text)),
    );
    expect(faults).toEqual([]);
  });
});

describe("a secret that is none", () => {
  const CASES: readonly (readonly [string, string | undefined])[] = [
    ["missing", undefined],
    ["empty", ""],
    ["blanks", "  \n "],
    ["short", "fifteen-letters"],
    ["one short of two", `${FIRST} short`],
    ["too long", "x".repeat(513)],
    ["letters that no header carries", `${FIRST}ä`],
    ["eleven of them", Array(11).fill(FIRST).join(" ")],
    ["no text", 5 as unknown as string],
  ];

  it.each(CASES)("is refused when the routes are made: %s", (_, secret) => {
    const make = () => drainRoutes({ coordinator: draining(), secret });
    expect(make).toThrow(
      expect.objectContaining({ code: "misconfigured", message: expect.not.stringContaining(FIRST) }),
    );
  });

  it.each([undefined, ""])("says that it is not set: %j", (secret) => {
    const message = "drainRoutes: secret is not set, such as CRON_SECRET";
    expect(() => drainRoutes({ coordinator: draining(), secret })).toThrow(expect.objectContaining({ message }));
  });

  it.each(CASES)("is never open where it is asked for later: %s", async (_, secret) => {
    const coordinator = draining();
    const ask = appOf({ coordinator, secret: () => secret });
    for (const authorization of [undefined, "Bearer ", `Bearer ${secret}`, "Bearer undefined", `Bearer ${FIRST}`]) {
      const response = await ask(/[^ -~]/.test(authorization ?? "") ? undefined : authorization);
      const text = await response.text();
      expect([response.status, JSON.parse(text).code]).toEqual([500, "misconfigured"]);
      expect(text).not.toContain(FIRST);
    }
    expect(coordinator.asked).toEqual([]);
  });

  it.each([
    ["limit", { limit: 0 }],
    ["limit", { limit: 10_001 }],
    ["budgetMs", { budgetMs: 0 }],
    ["budgetMs", { budgetMs: 600_001 }],
  ])("nor is an option out of range: %s", (name, options) => {
    const make = () => drainRoutes({ coordinator: draining(), secret: FIRST, ...options });
    expect(make).toThrow(expect.objectContaining({ code: "invalid_input", message: expect.stringContaining(name) }));
  });
});
