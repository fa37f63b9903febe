import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator, type HttpFetch } from "../../src/backends/http/index.js";
import { CoordinationError } from "../../src/index.js";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.js";
import { describeJoined } from "./joined.js";
import { incrOnce } from "./once.js";

const TOKEN = "a-token-of-joined-tests";

let worker: WorkerHost;
let proxy: FaultProxy;
beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  proxy = await startFaultProxy(worker.url);
});
afterAll(async () => {
  await proxy.close();
  await worker.close();
});

describeJoined(() => ({
  proxy,
  client: (options) => new HttpCoordinator({ token: TOKEN, ...options }),
  maxOps: 100,
  batchPath: "/v1/batch",
  incrPath: "/v1/run/kv/incr",
  oversize: 200,
  countOf: (body) => {
    const { operations } = JSON.parse(body) as { operations?: unknown[] };
    return operations?.length ?? 1;
  },
}));

/** A client of a Worker that gives scripted answers. */
function clientOf(answer: (path: string, body: string) => Response): { c: HttpCoordinator; paths: string[] } {
  const paths: string[] = [];
  const fetch: HttpFetch = async (url, { body }) => {
    const path = new URL(url).pathname;
    paths.push(path);
    return answer(path, String(body));
  };
  return { c: new HttpCoordinator({ url: "https://worker.example", token: TOKEN, fetch, random: () => 0 }), paths };
}

async function told(work: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(work);
  return outcomes.map((outcome) => {
    if (outcome.status === "fulfilled") return outcome.value;
    if (!(outcome.reason instanceof CoordinationError)) return outcome.reason;
    const { code, applied } = outcome.reason;
    return `${code} ${applied}`;
  });
}

const three = (c: HttpCoordinator) => told([incrOnce(c, "a"), c.getInt("b"), incrOnce(c, "c")]);
const ok = { output: { result: "7" } };
/** An answer of the Worker's. */
const answer = (body: object) => Response.json({ protocol: 1, ...body });
const problem = (status: number, code: string, more: object = {}) => ({
  problem: { status, code, detail: "x", ...more },
});

describe("a Worker without batches", () => {
  const old = (status: number) => (path: string) =>
    path === "/v1/batch" ? Response.json({ code: "not_found", status }, { status }) : answer(ok);

  it.each([404, 405])("is asked for one at a time, and not again for a while: %i", async (status) => {
    const { c, paths } = clientOf(old(status));
    expect(await three(c)).toEqual([7, 7, 7]);
    const singles = ["/v1/run/kv/incr", "/v1/run/kv/getInt", "/v1/run/kv/incr"];
    expect(paths).toEqual(["/v1/batch", ...singles]);
    expect(await three(c)).toEqual([7, 7, 7]);
    expect(paths).toEqual(["/v1/batch", ...singles, ...singles]);
  });

  it("is asked again later", async () => {
    let nowMs = 1_000_000;
    const paths: string[] = [];
    const clock = { now: () => nowMs, setTimer: () => () => {} };
    const fetch: HttpFetch = async (url) => {
      paths.push(new URL(url).pathname);
      return old(404)(paths.at(-1) ?? "");
    };
    const c = new HttpCoordinator({ url: "https://worker.example", token: TOKEN, fetch, clock });
    await three(c);
    nowMs += 599_999;
    await three(c);
    expect(paths.filter((path) => path === "/v1/batch")).toHaveLength(1);
    nowMs += 1;
    await three(c);
    expect(paths.filter((path) => path === "/v1/batch")).toHaveLength(2);
  });
});

describe("a batch", () => {
  it("that the Worker refuses as a whole: the client sends each operation alone, and may batch later ones", async () => {
    const { c, paths } = clientOf((path) => {
      if (path === "/v1/batch") return Response.json({ code: "malformed", status: 400 }, { status: 400 });
      return path.endsWith("getInt") ? Response.json({ code: "invalid_input" }, { status: 422 }) : answer(ok);
    });
    expect(await three(c)).toEqual([7, "invalid_input no", 7]);
    expect(await three(c)).toEqual([7, "invalid_input no", 7]);
    expect(paths.filter((path) => path === "/v1/batch")).toHaveLength(2);
  });

  it.each([
    [{ protocol: 1, outcomes: [ok, ok] }],
    [{ protocol: 1, outcomes: [ok, ok, ok, ok] }],
    [{ protocol: 1, outcomes: {} }],
    [{ protocol: 1 }],
    [{ outcomes: [ok, ok, ok] }],
    [null],
    [[ok, ok, ok]],
    [{ protocol: 1, output: { result: "7" } }],
  ])("with an answer in an unknown shape fails them all, in doubt: %j", async (body) => {
    const { c, paths } = clientOf(() => Response.json(body));
    const rejected = "backend_rejected";
    expect(await three(c)).toEqual([`${rejected} unknown`, `${rejected} no`, `${rejected} unknown`]);
    expect(paths).toHaveLength(1);
  });

  it.each([
    [problem(422, "invalid_input"), "invalid_input no"],
    [problem(409, "conflict"), "conflict no"],
    [problem(503, "backend_unavailable", { applied: "unknown" }), "backend_unavailable unknown"],
    [problem(503, "backend_unavailable", { applied: "no" }), "backend_unavailable no"],
    [problem(500, "internal", { applied: "unknown" }), "backend_unavailable unknown"],
    [problem(502, "no such code"), "backend_unavailable unknown"],
    [{ problem: {} }, "backend_rejected no"],
    [{ output: null }, "backend_rejected unknown"],
    [{}, "backend_rejected unknown"],
    [null, "backend_rejected unknown"],
    ["text", "backend_rejected unknown"],
  ])("fails the one that was refused alone: %j", async (outcome, code) => {
    const { c, paths } = clientOf(() => answer({ outcomes: [outcome, ok, ok] }));
    expect(await three(c)).toEqual([code, 7, 7]);
    expect(paths).toHaveLength(1);
  });

  it("quotes neither the token nor what a stranger's answer says", async () => {
    const echo = problem(422, "invalid_input", { detail: `got ${TOKEN}` });
    const { c } = clientOf(() => answer({ outcomes: [echo, problem(422, TOKEN, { detail: TOKEN }), ok] }));
    const outcomes = await Promise.allSettled([c.incr("a"), c.incr("b"), c.incr("c")]);
    expect(outcomes.map((outcome) => String(Object(outcome).reason)).join()).not.toContain(TOKEN);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  });

  it("sends again those alone that may be, when the Worker says", async () => {
    const busy = { ...problem(503, "backend_unavailable", { retryable: true, applied: "no" }), retryAfterSec: 1 };
    const { c, paths } = clientOf((path) =>
      path === "/v1/batch" ? answer({ outcomes: [busy, busy, ok] }) : answer(ok),
    );
    const sinceMs = Date.now();
    expect(await three(c)).toEqual(["backend_unavailable no", 7, 7]);
    expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(990);
    expect(paths).toEqual(["/v1/batch", "/v1/run/kv/getInt"]);
  });

  it("keeps within the Worker's bytes, whatever the characters", async () => {
    const sizes: number[] = [];
    const { c } = clientOf((_, body) => {
      sizes.push(new TextEncoder().encode(body).length);
      const count = (JSON.parse(body) as { operations?: unknown[] }).operations?.length;
      return answer(count === undefined ? ok : { outcomes: Array(count).fill(ok) });
    });
    const wide = "日".repeat(600);
    await Promise.all(Array.from({ length: 400 }, (_, i) => c.rpush(`l${i}`, wide, wide)));
    expect(sizes.length).toBeLessThan(8);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(262_144);
    expect(Math.max(...sizes)).toBeGreaterThan(250_000);
  });
});
