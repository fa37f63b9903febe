import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { COMPATIBILITY, startWorker } from "../../dev/worker-host.js";
import { ENTRIES } from "../../scripts/entries.js";

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
const page = read("docs/getting-started-cloudflare.md");
const block = (language: string): string => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? "";

it("the Worker of two files starts, as the page configures it, and takes the token alone", async () => {
  const toml = block("toml");
  const className = /^class_name = "(\w+)"$/m.exec(toml)?.[1] ?? "";
  expect(toml).toContain(`compatibility_date = "${COMPATIBILITY.compatibilityDate}"`);
  for (const flag of COMPATIBILITY.compatibilityFlags) expect(toml).toContain(`"${flag}"`);
  expect(toml).toContain(`new_sqlite_classes = ["${className}"]`);

  const source = block("ts").replace("edge-coordinator/worker", `./${ENTRIES["./worker"]}`);
  const worker = await startWorker({ source, className, vars: { COORDINATOR_TOKEN: "development-token-1" } });
  try {
    const status = async (path: string, headers = {}): Promise<number> =>
      (await fetch(`${worker.url}${path}`, { headers })).status;
    expect(await status("/health")).toBe(200);
    expect(await status("/v1/groups/document-1", { authorization: "Bearer development-token-1" })).toBe(404);
    expect(await status("/v1/groups/document-1")).toBe(401);
  } finally {
    await worker.close();
  }
});

it.each([
  ["the page", () => block("toml")],
  ["wrangler.toml", () => read("wrangler.toml")],
  ["examples/cloudflare/wrangler.toml", () => read("examples/cloudflare/wrangler.toml")],
])("%s keeps callback URLs out of the platform's logs", (_, toml) => {
  // In logs of invocations a path is whole.
  expect(toml()).toMatch(/^\[observability\.logs\]\nenabled = true\ninvocation_logs = false\b/m);
});
