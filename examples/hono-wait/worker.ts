import { setTimeout as sleep } from "node:timers/promises";
import { type Coordinator, type RequestWaitOptions, RequestWaitTracker } from "edge-coordinator";
import type { Job } from "./queue.js";

type Stage = "parse" | "embed";

/** What a page takes in each stage. */
const PAGE_MS = 100;

/** Does the work. It needs the request's id and the coordinator, and may as well be another process. */
export class Worker {
  readonly #requests: RequestWaitTracker<Stage>;

  constructor(options: RequestWaitOptions<Stage> & { readonly coordinator: Coordinator }) {
    this.#requests = new RequestWaitTracker(options.coordinator, { stages: options.stages });
  }

  async work({ requestId, documentId, pages }: Job): Promise<void> {
    if (pages === 0) {
      await this.#requests.fail(requestId, "parse", documentId, "the document has no pages");
      return;
    }
    await this.#eachPage(requestId, "parse", pages);
    // In one step: between the two stages there is no moment in which the request looks complete.
    await this.#requests.ack(requestId, "parse", documentId, {
      processed: 0,
      next: [{ stage: "embed", taskIds: documentId }],
    });
    await this.#eachPage(requestId, "embed", pages);
    await this.#requests.ack(requestId, "embed", documentId, { processed: 0 });
  }

  /** Pages are counted one by one, which the event stream shows; the ack of the task adds none. */
  async #eachPage(requestId: string, stage: Stage, pages: number): Promise<void> {
    for (let page = 1; page <= pages; page++) {
      await sleep(PAGE_MS);
      await this.#requests.count(requestId, stage, { processed: 1 });
    }
  }
}
