import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OurArm } from "../../bench/arms/ours.js";
import { AROUND_WORK, OPERATIONS, type Operation } from "../../bench/operations.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { useLab } from "../backends/upstash/support.js";

const TOKEN = "token-of-the-costs";
const lab = useLab();
let worker: WorkerHost;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
});
afterAll(() => worker?.close());

/** How many requests the operation took, by the count that is read before and after. */
async function requestsOf({ name, prepare, run }: Operation, arm: OurArm, count: () => number): Promise<number> {
  await prepare?.(arm, name);
  const before = count();
  await run(arm, name);
  return count() - before;
}

/** Measures an operation on Redis and on the Worker. */
async function requestsOnEach(operation: Operation): Promise<{ redis: number; worker: number }> {
  let sent = 0;
  const counting: typeof fetch = (...call) => {
    sent++;
    return fetch(...call);
  };
  const onWorker = new OurArm(new HttpCoordinator({ url: worker.url, token: TOKEN, fetch: counting }));
  return {
    redis: await requestsOf(operation, new OurArm(lab.coordinator()), () => lab.rest.requests.count()),
    worker: await requestsOf(operation, onWorker, () => sent),
  };
}

describe.each(OPERATIONS)("$name", (operation) => {
  it("is one HTTP request, to Redis and to the Worker", async () => {
    expect(await requestsOnEach(operation)).toEqual({ redis: 1, worker: 1 });
  });
});

describe.each(AROUND_WORK)("$name", (operation) => {
  it("is one HTTP request before the caller's work and one after it", async () => {
    expect(await requestsOnEach(operation)).toEqual({ redis: 2, worker: 2 });
  });
});
