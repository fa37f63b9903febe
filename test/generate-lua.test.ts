import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KEY_LOCKING, scripts } from "../src/backends/upstash/scripts.gen.js";
import { machines } from "../src/machines/index.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const GENERATED = "src/backends/upstash/scripts.gen.ts";
const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");

let folder: string;

/** Generates in a copy, so that tests which read the scripts meanwhile are left alone. */
async function generate(): Promise<string> {
  const tsx = join(ROOT, "node_modules/tsx/dist/cli.mjs");
  await promisify(execFile)(process.execPath, [tsx, "scripts/generate-lua.ts"], { cwd: folder });
  return readFile(join(folder, GENERATED), "utf8");
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-coordinator-generate-"));
  for (const name of ["src", "lua", "scripts", "package.json"]) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the Lua scripts", () => {
  it("come out the same every time, and are those that the tests run", { timeout: 120_000 }, async () => {
    const first = await generate();
    expect(await generate()).toBe(first);
    expect(first).toBe(await readFile(join(ROOT, GENERATED), "utf8"));
  });

  it("are there for every machine, with their digests", () => {
    expect(Object.keys(scripts).sort()).toEqual(Object.keys(machines).sort());
    for (const { lua, sha, keyLockingSha } of Object.values(scripts)) {
      expect(sha).toBe(sha1(lua));
      expect(keyLockingSha).toBe(sha1(KEY_LOCKING + lua));
    }
  });

  it("use nothing that Redis keeps from scripts", () => {
    for (const { lua } of Object.values(scripts)) {
      expect(lua).not.toMatch(/(?<![\w.:])(os|io|package|coroutine)\.\w/);
      expect(lua).not.toMatch(/(?<![\w.:])(print|dofile|loadfile|setfenv|getfenv)\s*\(/);
      // The bundle has a `require` of its own; as a value it would be the global one.
      expect(lua).not.toMatch(/= require$/m);
      expect(lua).not.toMatch(/\b_G\b/);
    }
  });
});
