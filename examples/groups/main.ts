import { setTimeout as sleep } from "node:timers/promises";
import { serve } from "@hono/node-server";
import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
import { firstAnswers } from "./enough.js";
import { indexAll, type Message, work } from "./pipeline.js";
import { repair } from "./repair.js";
import { type Job, reportApp } from "./report.js";

/** Any coordinator: see README.md. */
const coordinator = new MemoryCoordinator();
const tracker = new CompletionTracker(coordinator);

const programs: Record<string, () => Promise<unknown>> = {
  /** 30 calls of a model that takes 0.1 to 3 s; the answer is there after the first 20. */
  enough: () =>
    firstAnswers(coordinator, "answers-1", {
      calls: 30,
      needed: 20,
      ask: async (taskId, signal) => {
        await sleep(Number(taskId.slice(5)) * 100, undefined, { signal });
        return `the answer of ${taskId}`;
      },
    }),

  /** Ten documents with an unknown number of chunks, over a queue that delivers each message twice. */
  pipeline: () => {
    const send = (message: Message): void => {
      for (const ms of [Math.random() * 100, Math.random() * 200]) {
        setTimeout(() => work(coordinator, message, { split, embed: (id) => [id.length], send }), ms);
      }
    };
    const split = (id: string) => Array.from({ length: id.length }, (_, i) => `${id}/${i + 1}`);
    async function* pages() {
      yield ["README", "LICENSE", "CHANGES"];
      yield ["guide", "reference"];
    }
    return indexAll(coordinator, "index-1", { pages: pages(), send });
  },

  /** A group that timed out with two of its three tasks. */
  repair: async () => {
    await tracker.register("batch-1", ["a", "b", "c"], { timeoutSec: 1 });
    await tracker.ack("batch-1", [
      { id: "a", result: 1 },
      { id: "b", result: 2 },
    ]);
    console.log((await tracker.wait("batch-1"))?.state);
    await repair(coordinator, "batch-1", {
      timeoutSec: 60,
      send: (taskId, generation) => void tracker.ack("batch-1", { id: taskId, result: 3 }, { generation }),
    });
    return tracker.wait("batch-1");
  },

  /** A server. The source `slow` has an image that never comes. */
  report: async () => {
    const send = ({ groupId, part }: Job): void => {
      if (part !== "never") setTimeout(() => tracker.ack(groupId, part), Math.random() * 3_000);
    };
    const app = reportApp(coordinator, { send, sourceTimeoutSec: 5, reportTimeoutSec: 30 });
    serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
      console.log(`Listening on http://localhost:${port}`);
    });
  },
};

const [, , name = ""] = process.argv;
const run = programs[name];
if (run === undefined) console.error(`npm start -- ${Object.keys(programs).join(" | ")}`);
else console.log(await run());
