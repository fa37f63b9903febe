import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { type BuildResult, build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const MAX_GZIP_BYTES = 10_100;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Bundle {
  readonly outputs: NonNullable<BuildResult["metafile"]>["outputs"];
  readonly texts: ReadonlyMap<string, string>;
  /** The chunk of the entry point. */
  readonly entry: string;
}

/** Whatever `import()` names is a chunk of its own, and the package of one backend is missing. */
let bundle: Bundle;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "config-bundle-"));
  const { metafile, outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ["src/config/index.ts"],
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    minify: true,
    splitting: true,
    platform: "neutral",
    mainFields: ["module", "main"],
    format: "esm",
    external: ["@upstash/redis", "cloudflare:*"],
    metafile: true,
    write: false,
  });
  for (const { path, contents } of outputFiles) await writeFile(path, contents);
  const { outputs } = metafile;
  const texts = new Map(Object.keys(outputs).map((name, i) => [name, outputFiles[i]?.text ?? ""]));
  const [entry = ""] = Object.keys(outputs).filter((name) => outputs[name]?.entryPoint === "src/config/index.ts");
  bundle = { outputs, texts, entry };
});
afterAll(() => rm(folder, { recursive: true }));

/** The chunks that are there once the given ones are imported. */
function loadedWith(names: readonly string[]): Set<string> {
  const loaded = new Set<string>();
  const load = (name: string): void => {
    if (loaded.has(name)) return;
    loaded.add(name);
    for (const { path, kind, external } of bundle.outputs[name]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) load(path);
    }
  };
  for (const name of names) load(name);
  return loaded;
}

/** The sources and packages in those chunks. */
function contentsOf(chunks: ReadonlySet<string>): string[] {
  return [...chunks].flatMap((name) => {
    const { inputs, imports } = bundle.outputs[name] ?? { inputs: {}, imports: [] };
    return [...Object.keys(inputs), ...imports.filter(({ external }) => external).map(({ path }) => path)];
  });
}

/** What `import()` names in the entry point's own chunks: the source behind each chunk, with the chunk. */
function lazyChunks(): Map<string, string> {
  const names = [...loadedWith([bundle.entry])].flatMap((name) => bundle.outputs[name]?.imports ?? []);
  const lazy = names.filter(({ kind }) => kind === "dynamic-import").map(({ path }) => path);
  return new Map(lazy.map((path) => [bundle.outputs[path]?.entryPoint ?? path, path]));
}

/** The sources that `import()` names, with all that may come along from the folder of backends and from packages. */
const BACKENDS: readonly (readonly [source: string, own: RegExp])[] = [
  ["src/backends/memory/coordinator.ts", /^src\/backends\/memory\//],
  ["src/backends/upstash/index.ts", /^src\/backends\/upstash\/|^@upstash\/redis/],
  ["src/backends/durable-object/client.ts", /^src\/backends\/durable-object\/[^/]+\.ts$/],
  ["src/backends/http/index.ts", /^src\/backends\/http\//],
];

/** Runs a module beside the bundle, far from any package. */
async function run(code: string): Promise<unknown> {
  const file = join(folder, "run.mjs");
  await writeFile(
    file,
    `import { createCoordinator } from "./index.mjs"; console.log(JSON.stringify(await (${code})()));`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [file]);
  return JSON.parse(stdout);
}

describe("the entry point", () => {
  it("loads no backend and no platform's module, but its own package", () => {
    const contents = contentsOf(loadedWith([bundle.entry]));
    expect(contents).toContain("src/config/create.ts");
    expect(contents.filter((path) => /backends|src.core|trackers|durable|upstash|cloudflare/.test(path))).toEqual([]);
    const packages = contents.filter((path) => !path.startsWith("src/"));
    expect(packages.filter((path) => !path.startsWith("node_modules/zod/"))).toEqual([]);
  });

  it("reaches the four backends by import() alone, and cloudflare:workers not at all", () => {
    expect([...lazyChunks().keys()].sort()).toEqual(BACKENDS.map(([source]) => source).sort());
    expect(contentsOf(new Set(Object.keys(bundle.outputs))).filter((path) => path.includes("cloudflare:"))).toEqual([]);
  });

  it.each(BACKENDS)("loads %s without any other backend", (source, own) => {
    const contents = contentsOf(loadedWith([lazyChunks().get(source) ?? ""]));
    const others = contents.filter((path) => !path.startsWith("src/") || path.startsWith("src/backends/"));
    expect(others.length).toBeGreaterThan(0);
    expect(others.filter((path) => !own.test(path))).toEqual([]);
  });

  it(`is at most ${MAX_GZIP_BYTES} bytes before a backend is chosen`, () => {
    const texts = [...loadedWith([bundle.entry])].map((name) => bundle.texts.get(name) ?? "");
    expect(gzipSync(texts.join("")).length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  });
});

describe("without @upstash/redis", () => {
  it("the other backends work", async () => {
    const code = `async () => (await createCoordinator()).incr("k", 2)`;
    expect(await run(code)).toBe(2);
  });

  it("upstash says what is missing", async () => {
    const code = `async () => {
      const env = { UPSTASH_REDIS_REST_URL: "https://canary.example", UPSTASH_REDIS_REST_TOKEN: "canary" };
      const error = await createCoordinator({ backend: "upstash" }, { env }).catch((error) => error);
      return [error.code, error.message, error.cause.code];
    }`;
    expect(await run(code)).toEqual([
      "misconfigured",
      'the backend "upstash" cannot be loaded: is the package @upstash/redis installed?',
      "ERR_MODULE_NOT_FOUND",
    ]);
  });
});
