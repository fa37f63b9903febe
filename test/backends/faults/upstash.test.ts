import { afterAll, beforeAll } from "vitest";
import { CompletionTracker } from "../../../src/index.js";
import { webhookSender } from "../../../src/webhook/index.js";
import type { Lane } from "../../support/fault-proxy.js";
import { leanFetch } from "../../support/lean-fetch.js";
import { SILENCE_MS, Silence } from "../../support/silence.js";
import { type Receiver, startReceiver } from "../../webhook/receiver.js";
import { SkewedCoordinator, TOKEN, useLab } from "../upstash/support.js";
import { describeJoinedFaults } from "./describe-joined.js";
import { describeMatrix } from "./describe-matrix.js";
import type { World } from "./matrix.js";
import { OPERATIONS } from "./operations.js";

/** Longer than a lease, or a pause before another attempt. */
const LATER_MS = 120_000;

const lab = useLab();
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver((_, response) => response.end());
});
afterAll(() => receiver.close());

const hook = (id: string): string => `${receiver.url}/${id}`;

/** Drains until nothing is left, ahead of all pauses. */
async function settle(id: string): Promise<void> {
  const coordinator = new SkewedCoordinator({
    url: lab.rest.url,
    token: TOKEN,
    keyPrefix: `${id}:`,
    keyLocking: false,
    fetch: leanFetch,
  });
  const secrets = `whsec_${btoa("the secret of the fault matrix")}`;
  const webhooks = webhookSender({ secrets, allowedHosts: receiver.host, allowHttp: true });
  const tracker = new CompletionTracker(coordinator, { webhooks });
  do coordinator.skewMs += LATER_MS;
  while ((await coordinator.drain()).woken > 0);
  tracker.close();
}

const through = (lane: Lane) => ({
  url: lane.url,
  requestTimeoutMs: SILENCE_MS,
  clock: new Silence(lane).clock,
});

const world = (): World => ({
  proxy: lab.proxy,
  // Those through the proxy use the platform's own `fetch`.
  client: (id, lane) => lab.coordinator({ keyPrefix: `${id}:`, ...(lane ? through(lane) : { fetch: leanFetch }) }),
  settle,
  hook,
  hooked: (id) => receiver.received.filter(({ path }) => path === new URL(hook(id)).pathname).length,
});

describeMatrix("upstash", OPERATIONS, world);
describeJoinedFaults(world);
