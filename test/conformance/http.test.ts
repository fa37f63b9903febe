import { afterAll, beforeAll } from "vitest";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import type { Harness, RecordedDelivery } from "../../src/testing/index.js";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";
import { runConformanceCases } from "./run-cases.js";

/** The Worker as it is deployed, with handlers, a clock, and two routes for the test. Both share one isolate. */
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
  import { caseHandlers } from "./src/testing/index.js";

  const received = [];
  const objects = new Set();
  let aheadMs = 0;

  export class ConformanceObject extends CoordinatorWorkerObject {
    handlers = caseHandlers((delivery) => received.push(delivery));
    now() {
      return Date.now() + aheadMs;
    }
    run(transition, id, input) {
      objects.add(this.ctx.id.toString());
      return super.run(transition, id, input);
    }
    /** Rings the alarm as often as it is due by the clock of the test. */
    async ring() {
      const { storage } = this.ctx;
      for (let at = await storage.getAlarm(); at !== null && at <= this.now() + 1; at = await storage.getAlarm()) {
        await this.alarm();
      }
      return (await storage.getAlarm()) !== null;
    }
  }

  const worker = createWorker();
  export default {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/deliveries") {
        return Response.json(received.filter(({ groupId }) => groupId === searchParams.get("group")));
      }
      if (pathname !== "/advance") return worker.fetch(request, env);
      aheadMs += Number(searchParams.get("ms"));
      const ids = [...objects];
      objects.clear();
      for (const id of ids) {
        const isAlive = await env.COORDINATOR.get(env.COORDINATOR.idFromString(id)).ring();
        if (isAlive) objects.add(id);
      }
      return new Response();
    },
  };
`;

const TOKEN = "conformance-token";
let worker: WorkerProcess;

beforeAll(async () => {
  worker = await startWorker({ source: SOURCE, className: "ConformanceObject", vars: { COORDINATOR_TOKEN: TOKEN } });
});
afterAll(() => worker.close());

function harness(): Harness {
  return {
    coordinator: () => new HttpCoordinator({ url: worker.url, token: TOKEN }),
    advance: async (ms) => void (await fetch(`${worker.url}/advance?ms=${ms}`)),
    deliveries: async (groupId) => {
      const reply = await fetch(`${worker.url}/deliveries?group=${encodeURIComponent(groupId)}`);
      return (await reply.json()) as RecordedDelivery[];
    },
    lacks: { drainer: "the Worker's object alone drains its outbox" },
  };
}

runConformanceCases("http", harness);
