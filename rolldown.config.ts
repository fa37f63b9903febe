import { defineConfig } from "rolldown";
import { ENTRIES } from "./scripts/entries.js";

/** What every entry point is built on. */
const CORE =
  /[\\/]src[\\/](?:[\w-]+\.ts|(?:machines|trackers|backends[\\/]custom)[\\/]|backends[\\/](?:memory|due-heap)\.ts)/;

/**
 * The published JavaScript: the core is one file, and an entry point one or two more, since Node takes most of a millisecond
 * for each file that it loads.
 */
export default defineConfig({
  input: Object.fromEntries(Object.values(ENTRIES).map((source) => [source.replace(/\.ts$/, ""), source])),
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
    // They stand in the declarations and in the sources, which are published too.
    comments: false,
  },
});
