import { startWorker } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import type { Harness, RecordedDelivery } from "../../src/testing/index.js";
import { leanFetch } from "./lean-fetch.js";

/**
 * The Worker as it is deployed, with handlers, clocks, and two routes for the test. All share one isolate. Each corner of
 * it, named `~LABEL~` in the ids, has a clock of its own.
 */
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";
  import { caseHandlers } from "./src/testing/index.js";

  const received = new Map();
  const corners = new Map();
  const labels = new Map();

  function corner(label) {
    if (!corners.has(label)) corners.set(label, { aheadMs: 0, objects: new Set() });
    return corners.get(label);
  }

  export class HarnessObject extends CoordinatorWorkerObject {
    handlers = caseHandlers((delivery) => {
      const { groupId } = delivery;
      if (!received.has(groupId)) received.set(groupId, []);
      received.get(groupId).push(delivery);
    });
    onEvent() {}
    now() {
      return Date.now() + corner(labels.get(this.ctx.id.toString()) ?? "").aheadMs;
    }
    run(transition, id, input) {
      this.#found(id);
      return super.run(transition, id, input);
    }
    watch(transition, id, ...rest) {
      this.#found(id);
      return super.watch(transition, id, ...rest);
    }
    /** Rings the alarm as often as it is due by the clock of the test. */
    async ring() {
      const { storage } = this.ctx;
      for (let at = await storage.getAlarm(); at !== null && at <= this.now() + 1; at = await storage.getAlarm()) {
        await this.alarm();
      }
      return (await storage.getAlarm()) !== null;
    }
    #found(id) {
      const name = this.ctx.id.toString();
      const [, label = ""] = /~(\\w+)~/.exec(id) ?? [];
      labels.set(name, label);
      corner(label).objects.add(name);
    }
  }

  const worker = createWorker();
  export default {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/deliveries") return Response.json(received.get(searchParams.get("group")) ?? []);
      if (pathname !== "/advance") return worker.fetch(request, env);
      const moved = corner(searchParams.get("corner"));
      moved.aheadMs += Number(searchParams.get("ms"));
      const ids = [...moved.objects];
      moved.objects.clear();
      for (const id of ids) {
        const isAlive = await env.COORDINATOR.get(env.COORDINATOR.idFromString(id)).ring();
        if (isAlive) moved.objects.add(id);
      }
      return new Response();
    },
  };
`;

const TOKEN = "harness-worker-token";
/** A Worker that harnesses talk to. */
export interface HarnessWorker {
  /** A corner of it: what has ids with `~LABEL~` in them; without a label all that have none. */
  harness(label?: string): Harness;
  close(): Promise<void>;
}

export async function startHarnessWorker(): Promise<HarnessWorker> {
  const worker = await startWorker({
    source: SOURCE,
    className: "HarnessObject",
    vars: { COORDINATOR_TOKEN: TOKEN },
  });
  const harness = (label = ""): Harness => ({
    coordinator: () => new HttpCoordinator({ url: worker.url, token: TOKEN, fetch: leanFetch }),
    advance: async (ms) => {
      const reply = await leanFetch(`${worker.url}/advance?corner=${label}&ms=${ms}`);
      await reply.text();
    },
    deliveries: async (groupId) => {
      const reply = await leanFetch(`${worker.url}/deliveries?group=${encodeURIComponent(groupId)}`);
      return (await reply.json()) as RecordedDelivery[];
    },
    stalled: () => new HttpCoordinator({ url: worker.url, token: TOKEN, fetch: () => new Promise(() => {}) }),
    lacks: { drainer: "the Worker's object alone drains its outbox" },
  });
  return { harness, close: () => worker.close() };
}
