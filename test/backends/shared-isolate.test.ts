import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterEach, expect, inject, it } from "vitest";
import type {} from "../support/provided.js";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";

const TOKEN = "a-token-for-tests";

/** A Worker that keeps its coordinator at module scope, so that the requests of an isolate share it. */
const source = (make: string): string => `
  import { CompletionTracker, MemoryCoordinator } from "./src/index.ts";
  import { UpstashCoordinator } from "./src/backends/upstash/index.ts";
  import { HttpCoordinator } from "./src/backends/http/index.ts";
  let coordinator;
  export default {
    async fetch(request, env) {
      coordinator ??= ${make};
      const tracker = new CompletionTracker(coordinator);
      const { verb, id, timeoutMs } = await request.json();
      const outcome = verb === "register" ? tracker.register(id, 1) : verb === "ack" ? tracker.ack(id, "a") : tracker.wait(id, { timeoutMs });
      return new Response(await outcome.then(({ state }) => state, (error) => error.code ?? String(error)));
    },
  };
`;

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close();
});

async function start(make: string, bindings: Record<string, string>, compatibilityDate: string): Promise<Miniflare> {
  const { outputFiles } = await build({
    stdin: { contents: source(make), resolveDir: process.cwd(), loader: "js" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import"],
  });
  const worker = new Miniflare({ modules: true, script: outputFiles[0]?.text ?? "", compatibilityDate, bindings });
  opened.push({ close: () => worker.dispose() });
  await worker.ready;
  return worker;
}

/** A date from before one request's promise could be resolved by another, and before fetch knew `cache`. */
const OLD = "2024-01-01";
const NEW = "2026-05-03";

it.each([
  ["memory", NEW, "new MemoryCoordinator()"],
  ["upstash", OLD, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "shared:" })'],
  ["upstash", NEW, 'new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "shared:" })'],
  ["http", OLD, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
  ["http", NEW, "new HttpCoordinator({ url: env.URL, token: env.TOKEN })"],
])(
  "requests of one isolate wait and ack through one coordinator, the first ends early: %s, %s",
  async (name, date, make) => {
    let bindings = { URL: inject("restUrl"), TOKEN: inject("restToken") };
    if (name === "http") {
      const behind: WorkerProcess = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
      opened.push(behind);
      bindings = { URL: behind.url, TOKEN };
    }
    const worker = await start(make, bindings, date);
    const id = crypto.randomUUID();
    const ask = async (verb: string, timeoutMs = 0): Promise<string> => {
      const body = JSON.stringify({ verb, id, timeoutMs });
      return (await worker.dispatchFetch("http://worker", { method: "POST", body })).text();
    };
    expect(await ask("register")).toBe("open");
    const first = ask("wait", 500);
    const others = Array.from({ length: 5 }, () => ask("wait", 10_000));
    expect(await first).toBe("wait_timeout");
    const sinceMs = Date.now();
    expect(await ask("ack")).toBe("completed");
    expect(await Promise.all(others)).toEqual(Array(5).fill("completed"));
    // By the write, not by the next look.
    expect(Date.now() - sinceMs).toBeLessThan(3_000);
  },
  30_000,
);
