import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scripts } from "../src/backends/upstash/scripts.gen.js";
import { scriptOf } from "../src/backends/upstash/scripts.js";
import { machines, type TransitionName } from "../src/core/registry.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const GENERATED = "src/backends/upstash/scripts.gen.ts";
const names = Object.keys(scripts) as TransitionName[];

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
  it("come out the same every time, and are those that the tests run", async () => {
    const first = await generate();
    expect(await generate()).toBe(first);
    expect(first).toBe(await readFile(join(ROOT, GENERATED), "utf8"));
  });

  it("are there for every transition", () => {
    const transitions = Object.entries(machines).flatMap(([machine, steps]) =>
      Object.keys(steps).map((step) => `${machine}.${step}`),
    );
    expect([...names].sort()).toEqual(transitions.sort());
  });

  it("hold what their transition needs, and nothing else", () => {
    const claims = names.filter((name) => scriptOf(name).includes("function claimOf("));
    expect(claims).toEqual(["completion.woken"]);
    for (const name of names) {
      const declared = [...scriptOf(name).matchAll(/^local function (\w+)\(/gm)].map(
        ([, declaration = ""]) => declaration,
      );
      for (const one of declared)
        expect(scriptOf(name).split(new RegExp(`\\b${one}\\b`)).length, one).toBeGreaterThan(2);
    }
  });

  it("use nothing that Redis keeps from scripts", () => {
    for (const lua of names.map(scriptOf)) {
      expect(lua).not.toMatch(/(?<![\w.:])(os|io|package|coroutine)\.\w/);
      expect(lua).not.toMatch(/(?<![\w.:])(print|dofile|loadfile|setfenv|getfenv)\s*\(/);
      expect(lua).not.toMatch(/\brequire\b/);
      expect(lua).not.toMatch(/\b_G\b/);
    }
  });
});
