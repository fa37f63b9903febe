import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { type Coordinator, defineBackend, MemoryCoordinator } from "../../src/index.js";
import { VersionedStore } from "../backends/custom-store.js";

const TOKEN = "the-token-of-the-first-example";
const LINE = "const coordinator = new MemoryCoordinator();\n";
const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync("README.md", "utf8")) ?? [];
/** What follows the imports and the one line that makes the coordinator. */
const [imports = "", program = ""] = example.split(LINE);

/** Runs the program on a coordinator, and returns what it prints. */
async function run(coordinator: Coordinator): Promise<string[]> {
  const source = `${imports}\nexport async function main(coordinator, console) {\n${program}}`;
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: "ts" },
    alias: { "edge-coordinator": "./src/index.ts" },
    bundle: true,
    format: "esm",
    write: false,
  });
  const url = `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? []).toString("base64")}`;
  const { main } = (await import(/* @vite-ignore */ url)) as { main(on: Coordinator, to: object): Promise<void> };
  const lines: string[] = [];
  await main(coordinator, { log: (line: string) => lines.push(line) });
  return lines;
}

/** A Worker that runs the program on its own objects, and answers with what it prints. */
const OBJECT = `
  import { CompletionTracker } from "./src/index.ts";
  import { CoordinatorObject, DurableObjectCoordinator } from "./src/backends/durable-object/object/index.ts";
  export class FirstObject extends CoordinatorObject {}
  export default {
    async fetch(_request, env) {
      const lines = [];
      const console = { log: (line) => lines.push(line) };
      const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
      ${program}
      return Response.json(lines);
    },
  };
`;

let worker: WorkerHost;
let objects: WorkerHost;
beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  objects = await startWorker({ source: OBJECT, className: "FirstObject" });
});
afterAll(() => Promise.all([worker?.close(), objects?.close()]));

describe("README's first example, by changing the line that makes the coordinator", () => {
  const keyPrefix = "first-example:";
  const redis = () => ({ url: inject("restUrl"), token: inject("restToken"), keyPrefix });

  it("has one such line", () => {
    expect(example.split(LINE)).toHaveLength(2);
  });

  it.each<[string, () => Promise<string[]>]>([
    ["memory", () => run(new MemoryCoordinator())],
    ["Redis", () => run(new UpstashCoordinator(redis()))],
    ["the Worker, over HTTP", () => run(new HttpCoordinator({ url: worker.url, token: TOKEN, allowHttp: true }))],
    ["Durable Objects", async () => (await (await fetch(objects.url)).json()) as string[]],
    ["a store of one's own", () => run(defineBackend(new VersionedStore().definition))],
  ])("runs on %s", async (_, lines) => {
    expect(await lines()).toEqual(["completed: 2 of 2"]);
  });
});
