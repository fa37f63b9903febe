import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { authenticate } from "../../worker/auth.js";

const run = promisify(execFile);
const page = readFileSync(new URL("../../docs/http-api.md", import.meta.url), "utf8");
const TOKEN = "development-token-1";
/** Each numbered call of the page, with the answer below it. */
const calls = [...page.matchAll(/\*\*(\d+\. [^*]+)\*\*[\s\S]*?```sh\n([\s\S]*?)```\s+```json\n([\s\S]*?)```/g)].map(
  ([, title = "", command = "", answer = ""]) => ({ title, command, answer: answer.trim() }),
);

describe("the calls of docs/http-api.md, in their order", () => {
  let worker: WorkerHost;
  beforeAll(async () => {
    worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  });
  afterAll(() => worker.close());

  it("are thirteen, with the token that the page names", () => {
    expect(calls).toHaveLength(13);
    expect(page).toContain(`COORDINATOR_TOKEN=${TOKEN}`);
  });

  it.each(calls)("$title", async ({ command, answer }) => {
    const env = { ...process.env, COORDINATOR_URL: worker.url, COORDINATOR_TOKEN: TOKEN };
    const { stdout } = await run("bash", ["-ec", command], { env });
    expect(stdout.trim()).toMatch(new RegExp(`^${answer.split("…").map(literally).join(".*")}$`));
  });
});

it("the lines that make a token and its digest make what the Worker takes", async () => {
  const [, command = ""] = /```sh\n(TOKEN=[\s\S]*?)```/.exec(page) ?? [];
  const [token = "", digest = ""] = (await run("bash", ["-ec", command])).stdout.trim().split(" ");
  expect(token).toMatch(/^[\w-]{43}$/);
  const request = new Request("https://worker.example/v1", { headers: { authorization: `Bearer ${token}` } });
  const env = { COORDINATOR_TOKENS: JSON.stringify({ [digest]: "tenant-a" }) };
  expect(await authenticate(request, env)).toMatchObject({ keyPrefix: "coord:tenant-a:" });
});

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
