import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.js";

const WORKERS = "test/**/*.workers.test.ts";
const EDGE = "test/**/*.edge.test.ts";
/** Files in workerd that make thousands of objects, or empty all storage often: each has a workerd of its own. */
const WORKERS_ALONE = [
  "test/{conformance,differential,faults,model,soak}/*.workers.test.ts",
  "test/durable-object/{alarm,packing-random}.workers.test.ts",
  "test/backends/upstash/alarm-clock.workers.test.ts",
];
/** They measure what their process holds: each has one of its own. */
const PROCESS = "test/**/*.process.test.ts";

/** The examples import the package by its name: here it is the sources, so that no build has to come first. */
const resolve = {
  alias: [
    { find: /^edge-coordinator$/, replacement: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
    { find: /^edge-coordinator\/hono$/, replacement: fileURLToPath(new URL("src/hono/index.ts", import.meta.url)) },
  ],
};

/** No test is timed by the runner: this only ends one that hangs. Where time is the subject, the test measures it. */
const HANGS = { testTimeout: 180_000, hookTimeout: 180_000, expect: { poll: { timeout: 30_000 } } };

/** What a differential test in workerd runs with, where the environment says so. */
function seeds(): Record<string, string> {
  const { DIFFERENTIAL_SEED, DIFFERENTIAL_RUNS } = process.env;
  return {
    ...(DIFFERENTIAL_SEED === undefined ? {} : { DIFFERENTIAL_SEED }),
    ...(DIFFERENTIAL_RUNS === undefined ? {} : { DIFFERENTIAL_RUNS }),
  };
}

/** The settings of a project whose files run in workerd. Each project needs a plugin of its own. */
const inWorkerd = () => ({
  plugins: [
    cloudflareTest(({ inject }) => ({
      wrangler: { configPath: "./test/support/wrangler.test.toml" },
      miniflare: {
        bindings: {
          UPSTASH_REDIS_REST_URL: inject("restUrl"),
          UPSTASH_REDIS_REST_TOKEN: inject("restToken"),
          ...seeds(),
        },
      },
    })),
  ],
  resolve,
});
const WORKERD_TEST = { ...HANGS, setupFiles: ["test/support/pool-setup.ts"] };

export default defineConfig({
  test: {
    // At the root alone: in a project, or in one that extends the root, it would start once a project.
    globalSetup: ["test/support/global-setup.ts"],
    // Most tests wait for servers: six at once keep two cores busy.
    maxWorkers: Math.max(6, availableParallelism()),
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./test/guarantees/reporter.ts"],
    projects: [
      {
        resolve,
        test: {
          ...HANGS,
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: [WORKERS, EDGE, PROCESS],
          environment: "node",
          // To start a process and import the library for each of 150 files took a fifth of the time. Files share a process, so
          // each of them puts back what it changes there.
          isolate: false,
        },
      },
      {
        ...inWorkerd(),
        test: { ...WORKERD_TEST, name: "workers", include: WORKERS_ALONE },
      },
      {
        ...inWorkerd(),
        // To start workerd and load the library there took four fifths of the time of these files.
        test: {
          ...WORKERD_TEST,
          name: "workers-shared",
          include: [WORKERS],
          exclude: WORKERS_ALONE,
          isolate: false,
        },
      },
      { resolve, test: { ...HANGS, name: "process", include: [PROCESS], environment: "node" } },
      { resolve, test: { ...HANGS, name: "edge", include: [EDGE], environment: "edge-runtime" } },
    ],
  },
});
