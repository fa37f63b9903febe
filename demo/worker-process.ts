import { CompletionTracker } from "../src/index.js";
import { type Access, reach } from "./backends/access.js";
import { startedWith, tellParent } from "./child.js";
import { ChunkStore } from "./chunk-store.js";
import type { Delivery } from "./queue.js";
import { RequestCounter } from "./request-counter.js";
import { type AckReport, type Bench, type Message, work } from "./work.js";

/** What a worker process is started with. */
export interface WorkerStart {
  readonly access: Access;
  readonly storeFolder: string;
  readonly webhookUrl: string;
}

export type ToWorker = WorkerStart | Delivery<Message>;

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "settled"; readonly receipt: number }
  | { readonly type: "sent"; readonly messages: readonly Message[] }
  | { readonly type: "acked"; readonly report: AckReport };

// A stateless worker process: takes messages, embeds, acks. All that it knows of the others is in the coordinator.
const { access, storeFolder, webhookUrl } = await startedWith<WorkerStart>();
const requests = new RequestCounter();
requests.install();
const { coordinator, webhooks } = reach(access);

const bench: Bench = {
  // Where the Worker's object delivers, how it does so is set there.
  tracker: new CompletionTracker(coordinator, webhooks === undefined ? {} : { webhooks, attemptTimeoutSec: 5 }),
  store: new ChunkStore(storeFolder),
  requests,
  webhookUrl,
  send: (...messages) => tell({ type: "sent", messages }),
  acked: (report) => tell({ type: "acked", report }),
};

process.on("message", async ({ receipt, body }: Delivery<Message>) => {
  try {
    await work(body, bench);
    tell({ type: "settled", receipt });
  } catch (error) {
    // Not settled: the queue will hand it over again.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  }
});
tell({ type: "ready" });

function tell(message: FromWorker): void {
  tellParent(message);
}
