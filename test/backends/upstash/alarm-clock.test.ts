import { Miniflare } from "miniflare";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { bundleWorker } from "../../../dev/worker-bundle.js";
import { startWorker } from "../../../dev/worker-host.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { CompletionTracker } from "../../../src/index.js";
import { newOp } from "../../../src/lib/ids.js";
import { KillableWorker } from "../../support/killable-worker.js";
import type {} from "../../support/provided.js";

/**
 * A Worker as its author writes it, with nothing of a test runner around it: in the test pool, each class is wrapped in one
 * that extends `DurableObject`.
 */
const SOURCE = `
  import { AlarmClock, UpstashCoordinator } from "./src/backends/upstash/index.js";
  import { CompletionTracker } from "./src/index.js";

  function coordinatorOf(env) {
    const coordinator = new UpstashCoordinator({ url: env.REST_URL, token: env.REST_TOKEN, keyPrefix: env.KEY_PREFIX });
    new CompletionTracker(coordinator, { handlers: { done: () => {} }, env });
    return coordinator;
  }

  export class DrainClock extends AlarmClock {
    everyMs = 500;
    coordinator(env) {
      return coordinatorOf(env);
    }
  }

  export default {
    async fetch(request, env) {
      await AlarmClock[new URL(request.url).pathname.slice(1)](env.COORDINATOR);
      return new Response("done");
    },
    async scheduled(_controller, env) {
      await coordinatorOf(env).drain();
    },
  };
`;

const cleanUps: (() => unknown)[] = [];
let keyPrefix = "";
beforeEach(() => {
  keyPrefix = `alarm-clock-${newOp()}:`;
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function vars(): Record<string, string> {
  return { REST_URL: inject("restUrl"), REST_TOKEN: inject("restToken"), KEY_PREFIX: keyPrefix };
}

/** Registers elsewhere, with no handler at hand. */
function makeOwner(): CompletionTracker {
  return new CompletionTracker(
    new UpstashCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix }),
  );
}

const done = { onEnd: { handler: "done" } };

/** Waits until the group's end is delivered; returns by how much that was late, as far as looking can tell. */
async function delivered(owner: CompletionTracker, id: string): Promise<number> {
  const settled = { state: "timed_out", delivery: { state: "delivered", attempts: 1 } };
  await expect.poll(() => owner.status(id)).toMatchObject(settled);
  const atMs = Date.now();
  return atMs - ((await owner.status(id))?.deadlineAtMs ?? 0);
}

describe("in bare workerd", () => {
  it("a class that extends nothing rings, drains and stops", async () => {
    const owner = makeOwner();
    const worker = await startWorker({ source: SOURCE, className: "DrainClock", vars: vars() });
    cleanUps.push(() => worker.close());
    expect(await (await fetch(`${worker.url}/start`)).text()).toBe("done");
    await owner.register("g", 1, { timeoutSec: 0.7, ...done });
    // The interval, and what a busy machine adds.
    expect(await delivered(owner, "g")).toBeLessThan(500 + 5_000);
    expect(await (await fetch(`${worker.url}/stop`)).text()).toBe("done");
    await owner.register("later", 1, { timeoutSec: 0.2, ...done });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await owner.status("later")).toMatchObject({
      state: "timed_out",
      delivery: { state: "pending", attempts: 0 },
    });
  });

  it("continues to drain after kill -9, without another call to start it", async () => {
    const owner = makeOwner();
    const worker = await KillableWorker.start({ source: SOURCE, className: "DrainClock", vars: vars() });
    cleanUps.push(() => worker.close());
    expect(await (await fetch(`${worker.url}/start`)).text()).toBe("done");
    await worker.kill();
    await owner.register("g", 1, { timeoutSec: 0.2, ...done });
    await worker.restart();
    await delivered(owner, "g");
  });

  it("a cron trigger drains with one line", async () => {
    const miniflare = new Miniflare({
      modules: [{ type: "ESModule", path: "worker.js", contents: await bundleWorker({ source: SOURCE }) }],
      compatibilityDate: "2026-05-03",
      bindings: vars(),
    });
    cleanUps.push(() => miniflare.dispose());
    const owner = makeOwner();
    await owner.register("g", 1, { timeoutSec: 0.05, ...done });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const worker = await miniflare.getWorker();
    expect(await worker.scheduled({ cron: "* * * * *" })).toMatchObject({ outcome: "ok" });
    expect(await owner.status("g")).toMatchObject({ state: "timed_out", delivery: { state: "delivered" } });
  });
});
