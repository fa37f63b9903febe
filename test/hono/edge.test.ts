import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { expect, inject, test } from "vitest";
import type {} from "../support/provided.js";

/** A fifth is what the Worker has as well: problem details, preferences, comparing secrets. 650 are the routes of groups, 4,600 is `idempotency`. */
const MAX_GZIP_BYTES = 11_500;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

async function bundle(contents: string, options: { external?: string[]; minify?: boolean; format: "esm" | "iife" }) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    absWorkingDir: ROOT,
    bundle: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["edge-light", "worker", "import"],
    globalName: "library",
    metafile: true,
    write: false,
    ...options,
  });
  const left = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  return { text: outputFiles[0]?.text ?? "", left, inputs: Object.keys(metafile.inputs) };
}

const sizeOf = async (contents: string): Promise<number> =>
  gzipSync((await bundle(contents, { external: ["hono"], minify: true, format: "esm" })).text).length;

test("imports hono alone, no backend, and is small beside the entry point that it stands on", async () => {
  const hono = `export * from "./src/hono/index.ts";`;
  const { left, inputs } = await bundle(hono, { external: ["hono"], format: "esm" });
  expect([...new Set(left)]).toEqual(["hono"]);
  expect(inputs.filter((path) => /node_modules|backends|durable-object/.test(path))).toEqual([]);
  const index = `export * from "./src/index.ts";`;
  const addedBytes = (await sizeOf(index + hono)) - (await sizeOf(index));
  expect(addedBytes).toBeLessThanOrEqual(MAX_GZIP_BYTES);
});

test("runs on a strict edge: no Node built-in, no process, no Buffer", async () => {
  const contents = `
    export * from "./src/hono/index.ts";
    export { RequestWaitTracker } from "./src/index.ts";
    export { UpstashCoordinator } from "./src/backends/upstash/index.ts";
    export { Hono } from "hono";`;
  const { text, left } = await bundle(contents, { format: "iife" });
  expect(left).toEqual([]);
  const vm = new EdgeVM({ initialCode: `delete globalThis.process; delete globalThis.Buffer; ${text}` });
  const endpoint = {
    url: inject("restUrl"),
    token: inject("restToken"),
    keyPrefix: `hono-edge-${crypto.randomUUID()}:`,
  };
  const outcome = await vm.evaluate<Promise<string>>(`(async () => {
    const { Hono, RequestWaitTracker, UpstashCoordinator, coordinationErrors, drainRoutes, requestStatusRoutes, requestWait } = library;
    const coordinator = () => new UpstashCoordinator(${JSON.stringify(endpoint)});
    const options = { coordinator, stages: ["parse"], scope: (c) => c.req.header("x-user") ?? "" };
    const app = new Hono();
    app.onError(coordinationErrors());
    app.post("/documents", requestWait(options), async (c) => {
      const { id, add } = c.var.requestWait;
      await add("parse", "a");
      const worker = new RequestWaitTracker(coordinator(), { stages: options.stages });
      setTimeout(() => worker.ack(id, "parse", "a"), 50);
      return c.json({ document: "a" }, 202);
    });
    app.route("/requests", requestStatusRoutes(options));
    app.route("/drain", drainRoutes({ coordinator, secret: "a-secret-of-these-tests" }));
    const call = (method, path, headers) => app.request(path, { method, headers: { "x-user": "alice ü", ...headers } });
    const seen = [];
    const done = await call("POST", "/documents", { "x-request-id": "r", prefer: "wait=5" });
    seen.push(done.status, (await done.json()).queueStatus.parse.processed);
    const events = await call("GET", "/requests/r/events");
    seen.push((await events.text()).includes("event: complete"));
    seen.push((await call("GET", "/requests/r", { "x-user": "bob" })).status);
    seen.push((await call("GET", "/drain")).status);
    seen.push((await (await call("GET", "/drain", { authorization: "Bearer a-secret-of-these-tests" })).json()).left);
    return JSON.stringify(seen);
  })()`);
  expect(JSON.parse(outcome)).toEqual([200, 1, true, 404, 401, false]);
});
