import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { expect, inject, test } from "vitest";
import { ENTRIES } from "../scripts/entries.js";
import type {} from "./support/provided.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The entry points that run on any edge, as one script that leaves `library` behind. */
async function bundle(): Promise<{ text: string; left: readonly string[] }> {
  const entries = [".", "./upstash", "./http", "./webhook", "./capability", "./otel", "./config", "./testing"];
  const contents = entries
    .map((entry) => `export * from ${JSON.stringify(join(root, ENTRIES[entry] ?? ""))};`)
    .join("\n");
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["edge-light", "worker", "import"],
    format: "iife",
    globalName: "library",
    metafile: true,
    write: false,
  });
  const left = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  return { text: outputFiles[0]?.text ?? "", left };
}

test("runs on a strict edge: no Node built-in, no process, no Buffer", async () => {
  const { text, left } = await bundle();
  expect(left).toEqual([]);
  const vm = new EdgeVM({ initialCode: `delete globalThis.process; delete globalThis.Buffer; ${text}` });
  const endpoint = { url: inject("restUrl"), token: inject("restToken"), keyPrefix: "edge-bundle:" };
  const outcome = await vm.evaluate<Promise<string>>(`(async () => {
    const { CompletionTracker, MemoryCoordinator, UpstashCoordinator, createCoordinator } = library;
    const upstash = ${JSON.stringify(endpoint)};
    const made = await createCoordinator({ backend: "upstash", upstash });
    const seen = [];
    for (const coordinator of [new MemoryCoordinator(), new UpstashCoordinator(upstash), made]) {
      const handlers = { publish: (event) => { seen.push(event.type + " " + event.payload.path); } };
      const tracker = new CompletionTracker(coordinator, { handlers, waitUntil: () => {} });
      const id = crypto.randomUUID();
      const early = await tracker.ack(id, "a");
      await tracker.register(id, ["a", "b"], { onComplete: { handler: "publish", payload: { path: "x" } } });
      const waiting = tracker.wait(id, { timeoutMs: 5000 });
      const last = await tracker.ack(id, "b");
      const status = await waiting;
      seen.push([early.verdict, last.ended, status.state].join(" "));
      for (let i = 0; i < 100 && (await tracker.status(id)).delivery.state !== "delivered"; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    return JSON.stringify(seen.sort());
  })()`);
  const once = ["early true completed", "group.completed x"];
  expect(JSON.parse(outcome)).toEqual([...once, ...once, ...once].sort());
});
