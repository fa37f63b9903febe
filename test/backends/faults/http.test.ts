import { afterAll, beforeAll } from "vitest";
import { startWorker, type WorkerHost } from "../../../dev/worker-host.js";
import { HttpCoordinator, type HttpOptions } from "../../../src/backends/http/index.js";
import { CompletionTracker } from "../../../src/index.js";
import { type FaultProxy, type Lane, startFaultProxy } from "../../support/fault-proxy.js";
import { leanFetch } from "../../support/lean-fetch.js";
import { SILENCE_MS, Silence } from "../../support/silence.js";
import { type Receiver, startReceiver } from "../../webhook/receiver.js";
import { describeJoinedFaults } from "./describe-joined.js";
import { describeMatrix } from "./describe-matrix.js";
import type { World } from "./matrix.js";
import { OPERATIONS } from "./operations.js";

const TOKEN = "the-token-of-fault-tests";

let worker: WorkerHost;
let proxy: FaultProxy;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver((_, response) => response.end());
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      WEBHOOK_SECRET: `whsec_${btoa("the secret of the fault matrix")}`,
      WEBHOOK_ALLOWED_HOSTS: receiver.host,
      WEBHOOK_ALLOW_HTTP: "true",
    },
  });
  proxy = await startFaultProxy(worker.url);
});
afterAll(async () => {
  await proxy.close();
  await worker.close();
  await receiver.close();
});

/** Requests that no fault meets. Those through the proxy use the platform's own `fetch`. */
const client = (options: Partial<HttpOptions> = { fetch: leanFetch }) =>
  new HttpCoordinator({ url: worker.url, token: TOKEN, ...options });
const through = (lane: Lane) => ({
  url: lane.url,
  requestTimeoutMs: SILENCE_MS,
  clock: new Silence(lane).clock,
});
const hook = (id: string): string => `${receiver.url}/${id}`;

/** The object delivers by itself. */
async function settle(id: string): Promise<void> {
  const tracker = new CompletionTracker(client());
  while ((await tracker.status(id))?.delivery.state === "pending") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const world = (): World => ({
  proxy,
  client: (_, lane) => client(lane && through(lane)),
  settle,
  hook,
  hooked: (id) => receiver.received.filter(({ path }) => path === new URL(hook(id)).pathname).length,
});

describeMatrix(
  "http",
  // The object's alarm drains: its clients have nothing to.
  OPERATIONS.filter(({ method }) => method !== "Coordinator.drain"),
  world,
);
describeJoinedFaults(world);
