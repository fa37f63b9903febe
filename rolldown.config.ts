import { defineConfig, type RolldownOptions } from "rolldown";
import { ENTRIES } from "./scripts/entries.js";
import { licences } from "./scripts/licences.js";

/** What `./config` loads when it is asked for: in files of their own, since a bundler keeps all that stands beside it. */
const ON_DEMAND = ["src/backends/memory/coordinator.ts", "src/backends/durable-object/client.ts"];

/** What every entry point is built on, and one small file that `./config` and `./worker` share. */
const CORE =
  /[\\/]src[\\/](?:(?!index)[\w-]+\.ts|config[\\/]zod-issue\.ts|(?:lib|core|runtime|http|delivery|trackers|backends[\\/]custom)[\\/])/;

/**
 * The published JavaScript: the core is one file, and an entry point one or two more, since Node takes most of a millisecond
 * for each file that it loads.
 */
const LIBRARY: RolldownOptions = {
  input: Object.fromEntries(
    [...Object.values(ENTRIES), ...ON_DEMAND].map((source) => [source.replace(/\.ts$/, ""), source]),
  ),
  external: /^(?:@upstash|@opentelemetry|hono|zod|cloudflare:)/,
  platform: "neutral",
  tsconfig: "tsconfig.build.json",
  logLevel: "warn",
  output: {
    dir: "dist",
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js",
    codeSplitting: { groups: [{ name: "core", test: CORE }] },
    minifyInternalExports: false,
    sourcemap: true,
    // Docstrings stand in the declarations, and in the sources beside them. By annotations a bundler drops what is unused.
    comments: { annotation: true, legal: false, jsdoc: false },
  },
};

/** Some packages tell errors apart by the names of their classes. */
const COMMAND_OUTPUT = {
  dir: "dist/cli",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
  minify: true,
  keepNames: true,
};

/**
 * `npx edge-coordinator`. All packages are part of it, so that `npx` needs no peers and the library gets no dependency. It loads
 * the code of a backend when it calls it.
 */
const COMMAND: RolldownOptions = {
  input: { main: "cli/main.ts" },
  external: /^miniflare$/,
  platform: "node",
  tsconfig: "tsconfig.node.json",
  logLevel: "warn",
  plugins: [licences("main.licences.txt")],
  output: COMMAND_OUTPUT,
};

/** The Worker that `edge-coordinator dev` runs: one module, since workerd resolves no packages. */
const DEV_WORKER: RolldownOptions = {
  input: { worker: "worker/index.ts" },
  external: /^cloudflare:/,
  platform: "neutral",
  resolve: { mainFields: ["module", "main"], conditionNames: ["workerd", "worker", "browser", "import"] },
  tsconfig: "tsconfig.build.json",
  logLevel: "warn",
  plugins: [licences("worker.licences.txt")],
  output: { ...COMMAND_OUTPUT, codeSplitting: false },
};

export default defineConfig([LIBRARY, COMMAND, DEV_WORKER]);
