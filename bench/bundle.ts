import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Peer packages and the platform's own modules: whoever uses them has them already. */
const EXTERNAL = ["@opentelemetry/api", "@upstash/redis", "hono", "hono/*", "zod", "zod/*", "cloudflare:workers"];

/** What an application bundles of the library, and how much that may be. */
export interface Use {
  readonly what: string;
  readonly source: string;
  /** Gzip, in bytes: what is held by a test. */
  readonly most: number;
  /** What it should be at most. */
  readonly target?: number;
}

const all = (path: string): string => `export * from "./src/${path}"`;

export const USES: readonly Use[] = [
  {
    what: "every tracker of `.`",
    source: `export { CompletionTracker, RequestWaitTracker, CoalesceTracker, DedupeWindow, RequestStatsAccumulator } from "./src/index.ts"`,
    most: 17_450,
    target: 8_000,
  },
  {
    what: "`.`, all of it: memory, custom backends and their machines too",
    source: all("index.ts"),
    most: 53_100,
    target: 8_000,
  },
  { what: "`./upstash`, with its scripts", source: all("backends/upstash/index.ts"), most: 55_700, target: 10_000 },
  { what: "`./http`", source: all("backends/http/index.ts"), most: 9_900, target: 4_000 },
  { what: "`./hono`", source: all("hono/index.ts"), most: 29_100, target: 4_000 },
  {
    what: "`requestWait` of `./hono`, without `idempotency`",
    source: `export { requestWait } from "./src/hono/index.ts"`,
    most: 18_050,
  },
  { what: "`idempotency` of `./hono`", source: `export { idempotency } from "./src/hono/index.ts"`, most: 8_100 },
  { what: "`./webhook`", source: all("webhook/index.ts"), most: 5_150, target: 4_000 },
  { what: "`./otel`", source: all("otel/index.ts"), most: 5_300 },
  { what: "`./durable-object`", source: all("backends/durable-object/object/index.ts"), most: 46_000, target: 12_000 },
];

/** The minified bundle of a module, as an application's tools make it. */
export async function bundle(source: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    external: EXTERNAL,
    write: false,
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

export async function gzipBytes(source: string): Promise<number> {
  return gzipSync(await bundle(source), { level: 9 }).length;
}
