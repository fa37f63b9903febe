import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packTo } from "../support/packed.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const manifest = JSON.parse(read("package.json")) as { version: string; devDependencies: Record<string, string> };
const TARBALL = `edge-coordinator-${manifest.version}.tgz`;
const examples = readdirSync(join(ROOT, "examples"));

describe("the package, as README installs it from the repository", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edge-coordinator-install-"));
    const tarball = await packTo(folder);
    expect(tarball).toBe(join(folder, TARBALL));
    await writeFile(join(folder, "package.json"), "{}");
    await run("npm", ["pkg", "set", "type=module"], { cwd: folder });
    // Offline: it depends on nothing.
    await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${TARBALL}`], { cwd: folder });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("runs README's first example", async () => {
    const [, first = ""] = /```ts\n([\s\S]*?)```/.exec(read("README.md")) ?? [];
    await writeFile(join(folder, "first.ts"), first);
    const { stdout } = await run(process.execPath, [join(ROOT, "node_modules/tsx/dist/cli.mjs"), "first.ts"], {
      cwd: folder,
    });
    expect(stdout).toBe("completed: 2 of 2\n");
  });

  it("brings the examples along", () => {
    for (const name of examples) {
      expect(existsSync(join(folder, "node_modules/edge-coordinator/examples", name, "package.json"))).toBe(true);
    }
  });
});

describe("what the documents say of installing", () => {
  it.each(["README.md", ...examples.map((name) => `examples/${name}/README.md`)])("names the tarball: %s", (page) => {
    const named = read(page).match(/edge-coordinator-[\w.]+?\.tgz/g) ?? [];
    expect(new Set(named)).toEqual(new Set([TARBALL]));
  });

  it.each(examples)("is what the example's dependency is: %s", (name) => {
    const { dependencies } = JSON.parse(read(`examples/${name}/package.json`)) as {
      dependencies: Record<string, string>;
    };
    expect(dependencies["edge-coordinator"]).toBe(`file:../../${TARBALL}`);
  });

  it("names the wrangler that the tests run with", () => {
    expect(read("docs/getting-started-cloudflare.md")).toContain(`wrangler@${manifest.devDependencies.wrangler}`);
  });
});
