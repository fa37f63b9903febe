import { inspect } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, inject, it, vi } from "vitest";
import { HttpCoordinator } from "../../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import type { Coordinator, CoordinatorEvent } from "../../../src/index.js";
import { type Fault, type FaultProxy, startFaultProxy } from "../../support/fault-proxy.js";
import { count, reached } from "../../support/figures.js";
import { nameOf, outcomeOf, type Place } from "./operation.js";
import { OPERATIONS } from "./operations.js";

/** The token, the address, the ids and the answers contain it; no error may contain it. */
const CANARY = "Canary7f3a91";
const TOKEN = `token-${CANARY}-secret`;

/** Answers that quote what was sent, as @upstash/redis and careless proxies do. */
const ECHO = `ERR wrong command: EVALSHA ${CANARY} with Bearer ${TOKEN}`;
const PROBLEM = { type: "about:blank", title: ECHO, detail: ECHO, retryable: false, applied: "no" };
const ANSWERS: readonly Fault[] = [
  { status: 400, body: JSON.stringify({ error: ECHO }) },
  { status: 400, body: JSON.stringify({ error: `WRONGTYPE ${ECHO}` }) },
  { status: 400, body: JSON.stringify([{ error: ECHO }]) },
  { status: 401, body: JSON.stringify({ error: `WRONGPASS ${ECHO}` }) },
  { status: 403, body: ECHO },
  { status: 404, body: `<html>${ECHO}</html>` },
  { status: 413, body: ECHO },
  { status: 307, headers: { location: `https://elsewhere.example/${CANARY}` } },
  { status: 429, body: ECHO, headers: { "retry-after": "60" } },
  { status: 422, body: JSON.stringify({ ...PROBLEM, status: 422, code: CANARY }) },
  { status: 422, body: JSON.stringify({ ...PROBLEM, status: 422, code: "invalid_input" }) },
  { status: 200, body: JSON.stringify({ result: ECHO }) },
  { status: 200, body: JSON.stringify({ result: `={"${CANARY}":1}` }) },
  { status: 200, body: JSON.stringify({ output: { [CANARY]: CANARY } }) },
  { status: 200, body: JSON.stringify({ protocol: CANARY, output: { [CANARY]: CANARY } }) },
  { status: 200, body: JSON.stringify({ protocol: 2, output: { [CANARY]: CANARY } }) },
  { status: 200, body: JSON.stringify({ protocol: 1, output: CANARY }) },
];
/** Those that are sent again; one that was told may be told once more. */
const PASSING: readonly Fault[] = [
  { status: 500, body: ECHO },
  { status: 503, body: JSON.stringify({ error: ECHO }) },
  { status: 200, body: ECHO },
  "dropped before",
  "truncated after",
];

/** How many are tried side by side: most of the time they pause. */
const AT_ONCE = 200;

let proxies: Record<string, FaultProxy>;
const written: unknown[] = [];
beforeAll(async () => {
  // The servers behind the proxies answer no call: the proxy writes every answer.
  proxies = { upstash: await startFaultProxy(inject("restUrl")), http: await startFaultProxy(inject("restUrl")) };
});
afterAll(() => Promise.all(Object.values(proxies).map((proxy) => proxy.close())));
beforeEach(() => {
  for (const method of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, method).mockImplementation((...words) => void written.push(words));
  }
  return () => vi.restoreAllMocks();
});

const clients: Readonly<Record<string, (url: string, onEvent: (event: CoordinatorEvent) => void) => Coordinator>> = {
  upstash: (url, onEvent) => new UpstashCoordinator({ url, token: TOKEN, keyPrefix: `${CANARY}:`, onEvent }),
  http: (url) => new HttpCoordinator({ url, token: TOKEN, random: () => 0 }),
};

/** Everything that a logger writes of an error: its fields, causes and stack. The frames' paths are not the error's. */
function everythingIn(error: unknown): string {
  const causes: unknown[] = [];
  for (let at = error; at instanceof Error; at = at.cause) causes.push(at.message, { ...at });
  return inspect([error, causes], { depth: 8, showHidden: true }).replace(/\n\s+at .*/g, "");
}

it.for(["upstash", "http"])(
  "no error of the %s client quotes a token, an id, a value or an answer",
  async (backend, { task }) => {
    const leaks: string[] = [];
    let errors = 0;
    const proxy = proxies[backend] as FaultProxy;
    const attempts = OPERATIONS.flatMap((operation) => [...ANSWERS, ...PASSING].map((fault) => ({ operation, fault })));
    const attempt = async ({ operation, fault }: (typeof attempts)[number]): Promise<void> => {
      const lane = proxy.lane();
      lane.standing = fault;
      const told: unknown[] = [];
      const c = clients[backend]?.(`${lane.url}/${CANARY}`, (event) => told.push(event));
      const place: Place = {
        c: c as Coordinator,
        id: CANARY,
        hook: `https://hooks.example/${CANARY}`,
        hooked: () => 0,
        settle: async () => {},
        waitMs: 0,
        memo: {},
      };
      const outcome = await outcomeOf(operation.run(place));
      if ("error" in outcome) errors++;
      const events = told.map((event) => Object(event).error);
      const text = everythingIn("error" in outcome ? outcome.error : undefined) + events.map(everythingIn).join();
      if (text.includes(CANARY)) leaks.push(`${nameOf(operation)}, ${JSON.stringify(fault)}: ${text}`);
    };
    for (let i = 0; i < attempts.length; i += AT_ONCE) await Promise.all(attempts.slice(i, i + AT_ONCE).map(attempt));
    reached(task, {
      row: "S6",
      backend,
      reached: `${count(errors)} errors of ${OPERATIONS.length} uses of operations, ${leaks.length} with a canary`,
    });
    expect(leaks).toEqual([]);
    expect(errors).toBeGreaterThan(attempts.length * 0.9);
    expect(written).toEqual([]);
  },
);
