import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { startWorker } from "../../dev/worker-host.js";
import { ENTRIES } from "../../scripts/entries.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const run = promisify(execFile);
/** Beside the sources, so that packages resolve; removed in the end. */
const folder = mkdtempSync(join(root, "node_modules/.guides-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The examples of a page that import the library, with the sources instead of the package. */
function programsOf(page: string): string[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  return blocks.map((block) =>
    Object.entries(ENTRIES).reduce((program, [subpath, source]) => {
      const name = subpath === "." ? "edge-coordinator" : `edge-coordinator/${subpath.slice(2)}`;
      return program.replaceAll(`"${name}"`, JSON.stringify(join(root, source)));
    }, block),
  );
}

it.each([
  ["limit-concurrent-calls.md", 0],
  ["one-leader-for-a-cron.md", 0],
  ["one-leader-for-a-cron.md", 1],
  ["limit-requests-per-user.md", 1],
])("%s, program %i, prints what the page says", async (page, at) => {
  const file = join(folder, `${page}-${at}.mts`);
  writeFileSync(file, programsOf(page)[at] ?? "");
  const { stdout } = await run(process.execPath, [join(root, "node_modules/tsx/dist/cli.mjs"), file]);
  const printed = stdout.trim();
  expect(printed).not.toBe("");
  expect(readFileSync(join(root, "docs", page), "utf8")).toContain(`The program prints \`${printed}\``);
});

it("the Worker of limit-requests-per-user.md limits each user", async () => {
  const [source = ""] = programsOf("limit-requests-per-user.md");
  const worker = await startWorker({ source, className: "AppCoordinator" });
  const callAs = (user: string) => fetch(worker.url, { headers: { authorization: `Bearer token-of-${user}` } });
  const answers: Response[] = [];
  for (let n = 0; n < 25; n++) answers.push(await callAs("ada"));
  const denied = answers.filter(({ status }) => status === 429);
  expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"default";r=19;t=1$/);
  expect(denied.length).toBeGreaterThan(0);
  expect(denied[0]?.headers.get("retry-after")).toBe("1");
  expect((await callAs("bob")).status).toBe(200);
  expect((await callAs("eve")).status).toBe(401);
  await worker.close();
});
