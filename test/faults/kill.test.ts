import { afterEach, expect, it } from "vitest";
import { Random } from "../../dev/random.js";
import { count, reached, runs } from "../support/figures.js";
import { KillableWorker } from "../support/killable-worker.js";
import { KillStorm } from "./kill-storm.js";
import { KillingReceiver } from "./killing-receiver.js";

const ROUNDS = runs("T5", 80);
const SEED = Number(process.env.KILL_SEED ?? 1);
const TOKEN = "a-token-for-tests";

/** The Worker with a handler that sends its delivery in two parts, so that there is a middle. */
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";

  export class AppObject extends CoordinatorWorkerObject {
    retry = { maxAttempts: 100, baseDelayMs: 20, maxDelayMs: 500 };
    handlers = {
      publish: async ({ deliveryId, attempt, payload, status }, { env, signal }) => {
        const text = new TextEncoder().encode(JSON.stringify({ payload, data: status }));
        const body = new ReadableStream({
          async start(controller) {
            controller.enqueue(text.slice(0, 100));
            await new Promise((resolve) => setTimeout(resolve, 5));
            controller.enqueue(text.slice(100));
            controller.close();
          },
        });
        const headers = { "delivery-id": deliveryId, attempt: String(attempt) };
        const response = await fetch(env.RECEIVER, { method: "POST", headers, body, signal });
        if (!response.ok || (await response.text()) !== "done") throw new Error("not taken");
      },
    };
  }
  export default createWorker();
`;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

it(`delivers every end, with one effect each, though the Worker is killed around every await, seed ${SEED}`, {
  timeout: 60_000 + 1_000 * ROUNDS,
}, async ({ task }) => {
  const random = new Random(SEED);
  const receiver = await KillingReceiver.start(random);
  cleanUps.push(() => receiver.close());
  const worker = await KillableWorker.start({
    source: SOURCE,
    className: "AppObject",
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      RECEIVER: `http://127.0.0.1:${receiver.port}/`,
      WEBHOOK_SECRET: `whsec_${Buffer.from("a secret of tests, 24 byte").toString("base64")}`,
      WEBHOOK_ALLOWED_HOSTS: `127.0.0.1:${receiver.port}`,
      WEBHOOK_ALLOW_HTTP: "true",
    },
  });
  cleanUps.push(() => worker.close());
  const { groups, hit, arrivals, effects } = await new KillStorm(worker, receiver, { token: TOKEN, random }).run(
    ROUNDS,
  );
  expect(effects).toBe(groups);
  expect(hit).toBeGreaterThanOrEqual(ROUNDS);
  reached(task, {
    row: "T5",
    backend: "durable-object",
    reached:
      `${count(hit)} rounds, ${count(worker.kills)} kill -9: ${count(groups)} of ${count(groups)} groups delivered, ` +
      `${count(effects)} effects, ${count(arrivals - effects)} deliveries came again`,
  });
});
