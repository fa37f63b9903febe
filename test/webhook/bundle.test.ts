import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { PUBLISHED } from "./vectors.js";

const MAX_GZIP_BYTES = 5_150;

async function bundle(format: "esm" | "iife"): Promise<{ text: string; imports: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/webhook/index.ts", import.meta.url))],
    bundle: true,
    minify: true,
    platform: "neutral",
    conditions: ["edge-light", "worker", "import"],
    format,
    globalName: "webhook",
    metafile: true,
    write: false,
  });
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.keys(metafile.inputs).filter((path) => path.includes("node_modules"));
  return { text: outputFiles[0]?.text ?? "", imports: [...inputs, ...(output?.imports.map(({ path }) => path) ?? [])] };
}

test("is small and imports no package", async () => {
  const { text, imports } = await bundle("esm");
  expect(imports).toEqual([]);
  expect(gzipSync(text).length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
});

test("signs, verifies, guards and sends in an edge runtime without Node", async () => {
  const { text } = await bundle("iife");
  const { secret, id, timestampSec, body, signature } = PUBLISHED;
  const vm = new EdgeVM({ initialCode: `delete globalThis.process; delete globalThis.Buffer; ${text}` });
  const outcome = await vm.evaluate<Promise<string>>(`(async () => {
    const secret = ${JSON.stringify(secret)}, id = ${JSON.stringify(id)}, body = ${JSON.stringify(body)};
    const signature = await webhook.sign({ secret, id, timestampSec: ${timestampSec}, body });
    const headers = new Headers({ "webhook-id": id, "webhook-timestamp": "${timestampSec}", "webhook-signature": signature });
    const verified = await webhook.verify({ secrets: secret, headers, body, nowMs: ${timestampSec * 1000} });
    const sent = [];
    const fetch = async (url, init) => { sent.push([url, init.headers["webhook-id"]]); return new Response(null, { status: 204 }); };
    const sender = webhook.webhookSender({ secrets: secret, allowedHosts: "hooks.example", fetch });
    await sender.send({ url: "https://hooks.example/a", id, body });
    const refusal = await sender.send({ url: "https://0x7f.1/", id, body }).catch((fault) => fault.code);
    return JSON.stringify({ signature, payload: verified.payload, sent, refusal });
  })()`);
  expect(JSON.parse(outcome)).toEqual({
    signature,
    payload: JSON.parse(body),
    sent: [["https://hooks.example/a", id]],
    refusal: "invalid_input",
  });
});
