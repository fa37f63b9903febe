import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker } from "../../src/index.js";
import { KillableWorker } from "../support/killable-worker.js";

const TOKEN = "a-token-for-tests";
/** The Worker with a handler of its own, that tells a receiver what it finds in its `env`. */
const SOURCE = `
  import { CoordinatorWorkerObject, createWorker } from "./worker/index.js";

  export class AppObject extends CoordinatorWorkerObject {
    handlers = {
      publish: async ({ deliveryId, attempt, payload }, { env, signal }) => {
        const body = JSON.stringify({ deliveryId, attempt, payload, greeting: env.GREETING, own: this.env.GREETING });
        const response = await fetch(env.RECEIVER, { method: "POST", body, signal });
        if (!response.ok) throw new Error("the receiver answered " + response.status);
      },
    };
  }
  export default createWorker();
`;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

it("runs a handler with its env after kill -9 in the middle of an attempt, under the same delivery id", async () => {
  const seen: { deliveryId: string; attempt: number; greeting: string }[] = [];
  let answers = false;
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      seen.push(JSON.parse(body));
      if (answers) response.writeHead(204).end();
    });
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  cleanUps.push(
    () => receiver.closeAllConnections(),
    () => receiver.close(),
  );
  const vars = {
    COORDINATOR_TOKEN: TOKEN,
    GREETING: "from the env",
    RECEIVER: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
  };
  const worker = await KillableWorker.start({ source: SOURCE, className: "AppObject", vars });
  cleanUps.push(() => worker.close());
  const tracker = new CompletionTracker<{ publish: { n: number } }>(
    new HttpCoordinator({ url: worker.url, token: TOKEN }),
  );
  await tracker.register("g", ["a"], { onComplete: { handler: "publish", payload: { n: 1 } } });
  expect(await tracker.ack("g", "a")).toMatchObject({ ended: true });
  await expect.poll(() => seen).toHaveLength(1);
  await worker.kill();

  answers = true;
  await worker.restart();
  await expect
    .poll(() => tracker.status("g"), { interval: 200 })
    .toMatchObject({ delivery: { state: "delivered", attempts: 2 } });
  const env = { greeting: "from the env", own: "from the env", payload: { n: 1 } };
  expect(seen).toMatchObject([
    { attempt: 1, ...env },
    { attempt: 2, ...env },
  ]);
  expect(seen[1]?.deliveryId).toBe(seen[0]?.deliveryId);
});
