import { afterAll, beforeAll } from "vitest";
import { HttpCoordinator } from "../../src/backends/http.js";
import type { Harness, RecordedDelivery } from "../../src/testing/index.js";
import { runConformanceCases } from "../conformance/run-cases.js";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";

const TOKEN = "the-token-of-conformance";

/**
 * The Worker with the cases' handlers, a clock that can be turned, and alarms that ring by it. Workers and objects share
 * one isolate here, so that a module's variables are everybody's.
 */
const TURNABLE = `
  import { caseHandlers } from "./src/testing/index.js";
  import worker, { CoordinatorWorkerObject } from "./worker/index.js";

  let aheadMs = 0;
  const received = [];
  const objects = new Set();

  export class TurnableObject extends CoordinatorWorkerObject {
    handlers = caseHandlers((delivery) => received.push(delivery));

    constructor(ctx, env) {
      super(ctx, env);
      objects.add(ctx.id.toString());
    }

    now() {
      return Date.now() + aheadMs;
    }

    async ring() {
      for (;;) {
        const atMs = await this.ctx.storage.getAlarm();
        if (atMs === null || atMs > this.now() + 1) return;
        await this.ctx.storage.deleteAlarm();
        await this.alarm();
      }
    }
  }

  export default {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/test/advance") {
        aheadMs += Number(searchParams.get("ms"));
        for (const id of [...objects]) await env.COORDINATOR.get(env.COORDINATOR.idFromString(id)).ring();
        return Response.json(null);
      }
      if (pathname === "/test/deliveries") {
        return Response.json(received.filter(({ groupId }) => groupId === searchParams.get("group")));
      }
      return worker.fetch(request, env);
    },
  };
`;

let worker: WorkerProcess;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN }, source: TURNABLE, className: "TurnableObject" });
});
afterAll(() => worker.close());

async function ask(path: string): Promise<unknown> {
  return (await fetch(`${worker.url}/test/${path}`)).json();
}

const harness: Harness = {
  coordinator: () => new HttpCoordinator({ url: worker.url, token: TOKEN }),
  advance: async (ms) => void (await ask(`advance?ms=${ms}`)),
  deliveries: async (groupId) => (await ask(`deliveries?group=${encodeURIComponent(groupId)}`)) as RecordedDelivery[],
  lacks: { drainer: "the Worker's object alone drains its outbox" },
};

runConformanceCases("http", () => harness);
