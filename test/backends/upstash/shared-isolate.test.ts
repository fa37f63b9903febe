import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registration, TOKEN, useLab } from "./support.js";

const lab = useLab();
let worker: Miniflare;

/** A Worker that keeps its coordinator at module scope, so that the requests of an isolate share it. */
const SOURCE = `
  import { UpstashCoordinator } from "./src/backends/upstash/index.ts";
  let coordinator;
  export default {
    async fetch(request, env) {
      coordinator ??= new UpstashCoordinator({ url: env.URL, token: env.TOKEN, keyPrefix: "shared:" });
      const { id, timeoutMs } = await request.json();
      const outcome = await coordinator.watch("completion.wait", id, {}, { timeoutMs }).then(
        ({ view }) => view.state,
        (error) => error.code ?? String(error),
      );
      return new Response(outcome);
    },
  };
`;

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: { contents: SOURCE, resolveDir: process.cwd(), loader: "js" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "import"],
  });
  worker = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text ?? "",
    // From before one request's promise could be resolved by another, and before fetch knew `cache`.
    compatibilityDate: "2024-01-01",
    bindings: { URL: lab.rest.url, TOKEN },
  });
  await worker.ready;
});

afterAll(() => worker.dispose());

async function wait(id: string, timeoutMs: number): Promise<string> {
  const response = await worker.dispatchFetch("http://worker", {
    method: "POST",
    body: JSON.stringify({ id, timeoutMs }),
  });
  return response.text();
}

it("waits of several requests of one isolate do not disturb each other, though the first ends early", async () => {
  const coordinator = lab.coordinator({ keyPrefix: "shared:" });
  await coordinator.run("completion.register", "g", registration());
  const first = wait("g", 500);
  const others = Array.from({ length: 5 }, () => wait("g", 10_000));
  expect(await first).toBe("wait_timeout");
  const sinceMs = Date.now();
  await coordinator.run("completion.ack", "g", { op: "end", tasks: [{ id: "a" }], earlyTtlMs: 1_000 });
  expect(await Promise.all(others)).toEqual(Array(5).fill("completed"));
  expect(Date.now() - sinceMs).toBeLessThan(400);
});
