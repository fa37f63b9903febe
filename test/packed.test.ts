import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packedPaths, packingFaults, secretsWithin, trackedPaths } from "../scripts/packed.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What remains in the work tree of a user that tries the examples and the Worker. */
const PLANTED = [
  ".env",
  ".npmrc",
  "dist/src/.env",
  "dist/notes.txt",
  "docs/.env.local",
  "docs/draft.txt",
  "examples/cloudflare/.dev.vars",
  "examples/cloudflare/.dev.vars.production",
  "examples/cloudflare/node_modules/some/index.ts",
  "examples/cloudflare/.wrangler/state/v3/d1.sqlite",
  "examples/hono-wait/credentials.json",
  "examples/hono-wait/package-lock.json",
  "examples/vercel/.env",
  "examples/vercel/.env.local",
  "examples/vercel/.vercel/project.json",
  "examples/vercel/api/key.pem",
  "src/.env.local",
  "src/secrets.json",
  "worker/.dev.vars",
  "worker/wrangler.toml",
];
/** What is the package's own. */
const OWN = [
  "dist/src/index.js",
  "docs/running-due-work.md",
  "examples/vercel/.env.example",
  "src/index.ts",
  "worker/index.ts",
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-coordinator-packed-"));
  await copyFile(join(ROOT, "package.json"), join(folder, "package.json"));
  for (const path of [...PLANTED, ...OWN]) {
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await writeFile(join(folder, path), "# planted");
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("row 77: the packed list", () => {
  it("row 77: has no secret of a work tree in which the examples and the Worker were tried, and nothing else by the way", () => {
    expect(packedPaths(folder).sort()).toEqual([...OWN, "package.json"].sort());
  });

  it("row 77: holds files of git and of the build alone, none of which looks like a secret", () => {
    const paths = packedPaths(ROOT);
    expect(packingFaults(paths, trackedPaths(ROOT))).toEqual([]);
    expect(secretsWithin(ROOT, paths)).toEqual([]);
    expect(paths).toEqual(expect.arrayContaining(["README.md", "LICENSE", "examples/vercel/.env.example"]));
  });

  it.each([
    "examples/vercel/.env.local",
    "worker/.dev.vars",
    "src/.npmrc",
    "docs/id_ed25519",
    "examples/vercel/api/tls.key",
    "examples/hono-wait/service-account.json",
  ])("row 77: is refused for the name %s, even if git keeps it", (path) => {
    expect(packingFaults([path], new Set([path]))).toEqual([`${path}: is named as secrets are`]);
  });

  it("row 77: is refused for a file that neither git keeps nor the build makes", () => {
    const tracked = new Set(["src/a.ts", "rolldown.config.ts"]);
    const fine = ["src/a.ts", "dist/src/a.js", "dist/src/a.d.ts.map", "dist/chunks/core-AbC_1.js"];
    expect(packingFaults(fine, tracked)).toEqual([]);
    for (const path of ["src/scratch.ts", "dist/src/removed.js", "dist/chunks/a.txt", "dist/notes.js.txt"]) {
      expect(packingFaults([path], tracked)).toEqual([`${path}: is neither in git nor built of what is`]);
    }
  });

  it("row 77: is refused for a text that looks like a secret", async () => {
    const texts = {
      "a.md": `whsec_${"A".repeat(43)}=`,
      "b.ts": "-----BEGIN EC PRIVATE KEY-----",
      "c.json": `npm_${"a1".repeat(18)}`,
      "d.md": "whsec_…, of `openssl rand`",
    };
    for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
    const found = secretsWithin(folder, Object.keys(texts)).map((fault) => fault.split(":")[0]);
    expect(found).toEqual(["a.md", "b.ts", "c.json"]);
  });
});
