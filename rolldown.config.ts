import { defineConfig } from "rolldown";
import { ENTRIES } from "./scripts/entries.js";

/** What `./config` loads when it is asked for: in files of their own, since a bundler keeps all that stands beside it. */
const ON_DEMAND = ["src/backends/memory/coordinator.ts", "src/backends/durable-object/client.ts"];

/** What every entry point is built on. */
const CORE =
  /[\\/]src[\\/](?:(?!index)[\w-]+\.ts|(?:lib|core|runtime|http|delivery|trackers|backends[\\/]custom)[\\/])/;

/**
 * The published JavaScript: the core is one file, and an entry point one or two more, since Node takes most of a millisecond
 * for each file that it loads.
 */
export default defineConfig({
  input: Object.fromEntries(
    [...Object.values(ENTRIES), ...ON_DEMAND].map((source) => [source.replace(/\.ts$/, ""), source]),
  ),
  external: /^(?:@upstash|hono|zod|cloudflare:)/,
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
});
