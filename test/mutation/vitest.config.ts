import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** What mutants of the machines are looked for with: everything that runs the machines in this process, without a server. */
export default defineConfig({
  resolve: {
    alias: [{ find: /^edge-coordinator$/, replacement: fileURLToPath(new URL("../../src/index.ts", import.meta.url)) }],
  },
  test: {
    include: [
      "test/core/*.test.ts",
      "test/model/memory.test.ts",
      "test/simulation/simulation.test.ts",
      "test/conformance/memory.test.ts",
    ],
    provide: { runs: { T2: 100, T3: 200 } },
  },
});
