import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";

/** One RPC of workerd's carries 32 MiB. */
const SOURCE = `
  import { DurableObjectCoordinator } from "./src/backends/durable-object/client.js";
  import { CoordinatorObject } from "./src/backends/durable-object/object/index.js";
  import { CompletionTracker } from "./src/trackers/completion.js";

  export class Coordinator extends CoordinatorObject {}

  const told = (outcomes) =>
    outcomes.map(({ reason, value }) => reason ? \`\${reason.code} \${reason.retryable}\` : value.state ?? "read");

  export default {
    async fetch(request, env) {
      const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
      const groups = new CompletionTracker(coordinator);
      const [calls, tasks, result] = [120, 20, "r".repeat(16_000)];
      await groups.register("g", calls * tasks);
      const ack = (i) => groups.ack("g", Array.from({ length: tasks }, (_, j) => ({ id: i + "-" + j, result })));
      const before = groups.status("g");
      const acked = Array.from({ length: calls }, (_, i) => ack(i));
      const acks = await Promise.allSettled([before, ...acked, groups.status("g")]);

      const items = Array.from({ length: 1_000 }, () => "i".repeat(2_000));
      for (let i = 0; i < 10; i++) await coordinator.rpush("list", ...items);
      const reads = await Promise.allSettled([coordinator.lrange("list"), coordinator.lrange("list")]);

      return Response.json({ acks: told(acks), reads: told(reads) });
    },
  };`;

let worker: WorkerHost;
beforeAll(async () => {
  worker = await startWorker({ source: SOURCE, className: "Coordinator" });
});
afterAll(() => worker.close());

it("calls of one turn that are too large for one RPC go one by one", async () => {
  const told = (await (await fetch(worker.url)).json()) as Record<string, string[]>;
  const acks = Array.from({ length: 120 }, () => "read");
  expect(told).toEqual({ acks: ["open", ...acks, "completed"], reads: ["read", "read"] });
});
