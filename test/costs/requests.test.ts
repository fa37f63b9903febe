import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OurArm } from "../../bench/arms/ours.js";
import { OPERATIONS, type Operation } from "../../bench/operations.js";
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

describe.each(OPERATIONS)("$name", (operation) => {
  it("is one HTTP request to Redis", async () => {
    const arm = new OurArm(lab.coordinator());
    expect(await requestsOf(operation, arm, () => lab.rest.requests.count())).toBe(1);
  });

  it("is one HTTP request to the Worker", async () => {
    let sent = 0;
    const counting: typeof fetch = (...call) => {
      sent++;
      return fetch(...call);
    };
    const arm = new OurArm(new HttpCoordinator({ url: worker.url, token: TOKEN, fetch: counting }));
    expect(await requestsOf(operation, arm, () => sent)).toBe(1);
  });
});
