import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach } from "vitest";
import { DurableObjectCoordinator, type ObjectNamespace } from "../../src/durable-object/index.js";
import type { Harness } from "../../src/testing/index.js";
import { received } from "../support/conformance-handlers.js";
import { alarmOf, bench } from "../support/test-worker.js";
import { runConformanceCases } from "./run-cases.js";

afterEach(async () => {
  await reset();
  bench.reset();
});

function harness(): Harness {
  const names = new Set<string>();
  const real: ObjectNamespace = env.COORDINATOR;
  const namespace: ObjectNamespace = {
    idFromName: (name) => real.idFromName(names.add(name) && name),
    get: (id, options) => real.get(id, options),
    jurisdiction: (name) => real.jurisdiction(name),
  };
  // Turns the objects' clock, and rings every alarm that is due by it.
  const advance = async (ms: number): Promise<void> => {
    bench.aheadMs += ms;
    for (const name of names) {
      const stub = env.COORDINATOR.getByName(name);
      for (let atMs = await alarmOf(stub); atMs !== null && atMs <= bench.now() + 1; atMs = await alarmOf(stub)) {
        await runDurableObjectAlarm(stub);
      }
    }
  };
  return {
    coordinator: () => new DurableObjectCoordinator({ namespace }),
    advance,
    deliveries: async (groupId) => received.filter((delivery) => delivery.groupId === groupId),
    lacks: { drainer: "the object alone drains its outbox" },
  };
}

runConformanceCases("durable-object", harness);
