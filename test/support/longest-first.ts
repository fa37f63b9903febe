import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take longest, the longest first. A file that is missing here is only started later. */
const LONGEST = [
  "test/conformance/d1.workers.test.ts",
  "test/conformance/durable-object.workers.test.ts",
  "test/backends/faults/http.test.ts",
  "test/backends/faults/upstash.test.ts",
  "test/backends/shared-isolate.test.ts",
  "test/differential/sqlite.workers.test.ts",
  "test/backends/custom-differential.test.ts",
  "test/conformance/upstash.test.ts",
  "test/dashboard/dashboard.test.ts",
  "test/examples/custom-backend.test.ts",
  "test/examples/vercel.test.ts",
  "test/model/http.test.ts",
  "test/model/upstash.test.ts",
  "test/keys.test.ts",
  "test/demo/end-to-end.test.ts",
  "test/cli/commands.test.ts",
  "test/model/memory.test.ts",
  "test/worker/health.test.ts",
  "test/conformance/http.test.ts",
  "test/examples/hono-wait.test.ts",
  "test/backends/http-joined.test.ts",
  "test/worker/transitions.test.ts",
  "test/worker/tenants.test.ts",
  "test/backends/faults/black-hole.test.ts",
  "test/soak/soak.workers.test.ts",
  "test/soak/soak.process.test.ts",
  "test/faults/waiters.workers.test.ts",
  "test/model/durable-object.workers.test.ts",
  "test/worker/webhooks.test.ts",
  "test/worker/answers.test.ts",
  "test/worker/auth.test.ts",
  "test/cli/dev.test.ts",
  "test/cli/stories.test.ts",
  "test/examples/cloudflare.test.ts",
  "test/model/custom.test.ts",
  "test/faults/kill.test.ts",
  "test/faults/failover.test.ts",
  "test/simulation/turns.test.ts",
  "test/simulation/simulation.test.ts",
  "test/generate-lua.test.ts",
];

function rank({ moduleId }: TestSpecification): number {
  const place = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`));
  return place < 0 ? LONGEST.length : place;
}

/**
 * Starts long files first, so that no processor idles while the last of them runs alone. The files of a project stay together:
 * a process takes the next file of its own project only.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projects = [...new Set(sorted.map(({ project }) => project.name))];
    return projects.flatMap((name) =>
      sorted.filter(({ project }) => project.name === name).sort((a, b) => rank(a) - rank(b)),
    );
  }
}
