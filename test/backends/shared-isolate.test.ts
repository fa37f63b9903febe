import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { bundleWorker } from "../../dev/worker-bundle.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { reached } from "../support/figures.js";
import type {} from "../support/provided.js";

const TOKEN = "a-token-for-tests";

/** A Worker that keeps its coordinator at module scope, so that the requests of an isolate share it. */
const source = (make: string): string => `
  import { CompletionTracker, MemoryCoordinator, RequestWaitTracker } from "./src/index.ts";
  import { UpstashCoordinator } from "./src/backends/upstash/index.ts";
  import { HttpCoordinator } from "./src/backends/http/index.ts";
  import { d1Backend, SCHEMA } from "./examples/custom-backend/src/d1-backend.ts";
  let coordinator;
  export default {
    async fetch(request, env) {
      if (coordinator === undefined) await env.DB.batch(SCHEMA.map((statement) => env.DB.prepare(statement)));
      coordinator ??= ${make};
      const { tracker, verb, id, timeoutMs } = await request.json();
      const outcome = tracker === "group" ? group(verb, id, timeoutMs) : wait(verb, id, timeoutMs);
      return new Response(await outcome.catch((error) => error.code ?? String(error)));
    },
  };
  async function group(verb, id, timeoutMs) {
    const tracker = new CompletionTracker(coordinator);
    if (verb === "begin") return (await tracker.register(id, 1)).state;
    return (await (verb === "end" ? tracker.ack(id, "a") : tracker.wait(id, { timeoutMs }))).state;
  }
  async function wait(verb, id, timeoutMs) {
    const tracker = new RequestWaitTracker(coordinator, { stages: ["s"] });
    if (verb === "begin") {
      await tracker.register(id);
      await tracker.add(id, "s", "a");
      return "open";
    }
    if (verb === "end") return (await tracker.ack(id, "s", "a")).state + "d";
    const { state, stages } = await tracker.wait(id, { timeoutMs });
    if (state === "pending") return "open";
    return stages.s.processed === 1 ? "completed" : "empty";
  }
`;

/**
 * A Worker whose requests run many operations at once through the coordinator of their isolate, which notes of each fetch
 * whose operations it carries. Those that leave answer at once, with their operations under way.
 */
const joining = (make: string): string => `
  import { UpstashCoordinator } from "./src/backends/upstash/index.ts";
  import { HttpCoordinator } from "./src/backends/http/index.ts";
  const fetches = [];
  const plain = globalThis.fetch;
  globalThis.fetch = (url, init) => {
    const keys = String(init.body).match(/of-[0-9]+-/g) ?? [];
    fetches.push({ owners: new Set(keys).size, keys: keys.length });
    return plain(url, init);
  };
  let coordinator;
  export default {
    async fetch(request, env) {
      coordinator ??= ${make};
      const { owner, leaves } = await request.json();
      if (owner === undefined) {
        const mixed = fetches.filter(({ owners }) => owners > 1).length;
        return Response.json([fetches.length, mixed, Math.max(...fetches.map(({ keys }) => keys))]);
      }
      const work = waves("of-" + owner + "-");
      if (!leaves) return Response.json(await work);
      work.catch(() => {});
      return Response.json("left");
    },
  };
  /** Waves that begin in every way a turn can begin: with the request, after an answer, a timer, a digest, a microtask. */
  async function waves(key) {
    const sums = [];
    for (let wave = 0; wave < 5; wave++) {
      if (wave === 2) await new Promise((resolve) => setTimeout(resolve, 1));
      if (wave === 3) await crypto.subtle.digest("SHA-256", new Uint8Array(wave));
      if (wave === 4) await null;
      sums.push(await Promise.all([0, 1, 2, 3].map((n) => coordinator.incr(key + (n % 2)))));
    }
    return sums;
  }
`;

const opened: { close(): Promise<unknown> }[] = [];
const scripts = new Map<string, Promise<string>>();
let behind: WorkerHost;

beforeAll(async () => {
  behind = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  opened.push(behind);
});
afterAll(async () => {
  await Promise.all(opened.map(({ close }) => close()));
});

interface Row {
  readonly name: string;
  readonly date: string;
  /** The Worker's source. */
  readonly contents: string;
}

/** Rows of two dates share a script. */
function scriptOf(contents: string): Promise<string> {
  const script = scripts.get(contents) ?? bundleWorker({ source: contents });
  scripts.set(contents, script);
  return script;
}

async function start({ name, date, contents }: Row): Promise<Miniflare> {
  const script = await scriptOf(contents);
  const bindings =
    name === "http" ? { URL: behind.url, TOKEN } : { URL: inject("restUrl"), TOKEN: inject("restToken") };
  const worker = new Miniflare({ modules: true, script, compatibilityDate: date, bindings, d1Databases: ["DB"] });
  opened.push({ close: () => worker.dispose() });
  await worker.ready;
  return worker;
}

/** A record's key, and its name, which its messages tell. */
const KEYS_AN_EVALUATION = 2;

/** A date from before one request's promise could be resolved by another, and before fetch knew `cache`. */
const OLD = "2024-01-01";
const NEW = "2026-05-03";

/** Each Worker is started once, for groups and for requests. */
const waiting = new Map<string, Promise<Miniflare>>();
function startedOnce(row: Row): Promise<Miniflare> {
  const key = `${row.name} ${row.date}`;
  const worker = waiting.get(key) ?? start(row);
  waiting.set(key, worker);
  return worker;
}

describe.each(["group", "request"])("fault 39, a %s", (tracker) => {
  it.for([
    ["memory", NEW, "new MemoryCoordinator()"],
    ["upstash", OLD, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "shared:" })'],
    ["upstash", NEW, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "shared:" })'],
    ["http", OLD, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
    ["http", NEW, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
    ["custom", OLD, "d1Backend(env.DB)"],
    ["custom", NEW, "d1Backend(env.DB)"],
  ])(
    "requests of one isolate wait and ack through one coordinator, the first ends early: %s, %s",
    async ([name = "", date = "", make = ""], { task }) => {
      const worker = await startedOnce({ name, date, contents: source(make) });
      const id = crypto.randomUUID();
      const ask = async (verb: string, timeoutMs = 0): Promise<string> => {
        const body = JSON.stringify({ tracker, verb, id, timeoutMs });
        return (await worker.dispatchFetch("http://worker", { method: "POST", body })).text();
      };
      expect(await ask("begin")).toBe("open");
      // Its last read may take half a second of that, on a busy machine too.
      const first = ask("wait", 2_000);
      const others = Array.from({ length: 5 }, () => ask("wait", 10_000));
      expect(await first).toBe("open");
      const sinceMs = Date.now();
      expect(await ask("end")).toBe("completed");
      expect(await Promise.all(others)).toEqual(Array(5).fill("completed"));
      // By the write, not by the next look.
      expect(Date.now() - sinceMs).toBeLessThan(3_000);
      const what = "requests of one isolate wait through one coordinator, and the first ends early";
      reached(task, { row: "fault 39", backend: name, reached: what });
    },
  );
});

describe("operations that are joined", () => {
  it.for([
    ["upstash", OLD, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "joined:" })'],
    ["upstash", NEW, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "joined:" })'],
    ["http", OLD, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
    ["http", NEW, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
  ])(
    "are never those of two requests, though these share a coordinator and some end first: %s, %s",
    async ([name = "", date = "", make = ""]) => {
      const worker = await start({ name, date, contents: joining(make) });
      const ask = async (body: object): Promise<unknown> =>
        (await worker.dispatchFetch("http://worker", { method: "POST", body: JSON.stringify(body) })).json();
      const sums = [0, 1, 2, 3, 4].map((wave) => [1, 1, 2, 2].map((nth) => 2 * wave + nth));
      const first = Math.floor(Math.random() * 1e9) * 1_000;
      const owners = Array.from({ length: 60 }, (_, i) => ({ owner: first + i, leaves: i % 3 === 0 }));
      const told = await Promise.all(owners.map(ask));
      expect(told).toEqual(owners.map(({ leaves }) => (leaves ? "left" : sums)));
      const [fetches, mixed, most] = (await ask({})) as [number, number, number];
      expect(fetches).toBeGreaterThanOrEqual(40 * 5);
      expect([mixed, most]).toEqual([0, name === "http" ? 4 : 4 * KEYS_AN_EVALUATION]);
    },
  );
});
