import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import {
  CompletionTracker,
  type Coordinator,
  MemoryCoordinator,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../src/index.js";
import type { Address } from "../lab.js";

const STAGES = ["work"] as const;

/** The library's trackers over one backend. */
export class OurArm {
  readonly coordinator: Coordinator;
  readonly groups: CompletionTracker;
  readonly requests: RequestWaitTracker<"work">;
  readonly stats: RequestStatsAccumulator;

  constructor(coordinator: Coordinator) {
    this.coordinator = coordinator;
    this.groups = new CompletionTracker(coordinator, { timeoutSec: 0 });
    this.requests = new RequestWaitTracker(coordinator, { stages: STAGES });
    this.stats = new RequestStatsAccumulator(coordinator, "bench");
  }

  /** What a worker does when a task is done, where three trackers are used: ack, mark done, count, at once. */
  async task(group: string, request: string, task: string): Promise<void> {
    await Promise.all([
      this.groups.ack(group, task),
      this.requests.ack(request, "work", task),
      this.stats.merge(request, { processed: 1 }),
    ]);
  }
}

/** The library on each backend that is reached by HTTP, through the gateways that count requests. */
export function throughGateways(lab: {
  readonly restGateway: Address;
  readonly workerGateway: Address;
}): readonly { readonly arm: string; readonly trackers: OurArm }[] {
  return [
    { arm: "ours, Redis over REST", trackers: onUpstash(lab.restGateway) },
    { arm: "ours, Worker over HTTP", trackers: onWorker(lab.workerGateway) },
  ];
}

export function onMemory(): OurArm {
  return new OurArm(new MemoryCoordinator());
}

/** On a stock redis-server, which knows no locking by key: on Upstash itself `keyLocking` stays "auto". */
export function onUpstash(address: Address): OurArm {
  return new OurArm(new UpstashCoordinator({ ...address, keyLocking: false }));
}

export function onWorker(address: Address): OurArm {
  return new OurArm(new HttpCoordinator(address));
}

/** As many instances as there are clients, each with a coordinator of its own: what one of them sends, no other joins. */
export class Instances {
  readonly #arms: readonly OurArm[];

  constructor(make: () => OurArm, count: number) {
    this.#arms = Array.from({ length: count }, make);
  }

  of(client: number): OurArm {
    return this.#arms[client % this.#arms.length] as OurArm;
  }
}
