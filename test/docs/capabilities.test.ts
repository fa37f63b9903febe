import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { startWorker } from "../../dev/worker-host.js";
import { keyOf } from "../capability/forge.js";

const page = readFileSync(new URL("../../docs/capabilities.md", import.meta.url), "utf8");
const TOKEN = "development-token-1";
/** Each numbered call of the page, with the answer below it. */
const calls = [...page.matchAll(/\*\*\d+\. [^*]+\*\*[\s\S]*?```sh\n([\s\S]*?)```\s+```json\n([\s\S]*?)```/g)].map(
  ([, command = "", answer = ""]) => ({ command, answer: answer.trim() }),
);
const SEPARATOR = "-- the next answer --";

it("the six calls of docs/capabilities.md have the answers that the page shows", async () => {
  const worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN, COORDINATOR_CAPABILITY_KEY: keyOf(1) } });
  try {
    const env = { ...process.env, COORDINATOR_URL: worker.url, COORDINATOR_TOKEN: TOKEN };
    const script = calls.map(({ command }) => command).join(`\necho; echo '${SEPARATOR}'\n`);
    const { stdout } = await promisify(execFile)("bash", ["-ec", script], { env });
    const answers = stdout.split(SEPARATOR).map((answer) => answer.trim());
    expect(answers).toHaveLength(6);
    for (const [i, { answer }] of calls.entries()) {
      expect(answers[i]).toMatch(new RegExp(`^${answer.split("…").map(literally).join(".*")}$`));
    }
  } finally {
    await worker.close();
  }
});

it("the key that docs/capabilities.md makes is one that the Worker takes", async () => {
  const [, command = ""] = /```sh\n(echo "capk_[\s\S]*?)```/.exec(page) ?? [];
  const { stdout } = await promisify(execFile)("bash", ["-ec", command]);
  const worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN, COORDINATOR_CAPABILITY_KEY: stdout } });
  try {
    expect(await (await fetch(`${worker.url}/health`)).json()).toMatchObject({ status: "ok" });
  } finally {
    await worker.close();
  }
});

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
