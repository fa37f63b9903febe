import {
  CompletionTracker,
  type Coordinator,
  type CoordinatorEvent,
  type HandlerContext,
  type HandlerEvent,
  type PayloadsOf,
} from "edge-coordinator";
import { CoordinatorObject } from "edge-coordinator/durable-object";
import type { Env } from "./env.js";
import type { ChunkResult } from "./text.js";

/** What a document's registration gives along to the handler of its end. */
interface DocumentInfo {
  readonly title: string;
}

/** The Durable Object that keeps the documents' groups, and runs what comes after their end. */
export class DocumentCoordinator extends CoordinatorObject<Env> {
  override readonly handlers = {
    /** Every chunk has settled; some may have failed. */
    publish: async (event: HandlerEvent<DocumentInfo>, { coordinator }: HandlerContext<Env>) => {
      const { groupId, total, errors } = event.status;
      const results = await resultsOf(coordinator, groupId);
      const words = results.reduce((sum, result) => sum + result.words, 0);
      const sentences = results.reduce((sum, result) => sum + result.sentences, 0);
      await this.#put(event, { outcome: "published", chunks: total, words, sentences, errors });
    },
    /** The deadline has passed. Acks that still come are told `late`, and change nothing. */
    giveUp: async (event: HandlerEvent<DocumentInfo>) => {
      const { total, remaining } = event.status;
      await this.#put(event, { outcome: "given up", chunks: total, missing: remaining });
    },
  };

  protected override onEvent(event: CoordinatorEvent): void {
    console.log(event.type, event);
  }

  /** A handler may run twice. The delivery id in the key makes the second time write the same object again. */
  async #put({ deliveryId, payload, status }: HandlerEvent<DocumentInfo>, publication: object): Promise<void> {
    const key = `${status.groupId}/${deliveryId}.json`;
    await this.env.PUBLISHED.put(key, JSON.stringify({ deliveryId, title: payload.title, ...publication }));
  }
}

/** The handlers' names and what each takes: a registration that gets them wrong does not compile. */
export type Payloads = PayloadsOf<DocumentCoordinator["handlers"]>;

async function resultsOf(coordinator: Coordinator, groupId: string): Promise<ChunkResult[]> {
  const tracker = new CompletionTracker(coordinator);
  const results: ChunkResult[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const page = await tracker.results(groupId, { after, limit: 1_000 });
    for (const { result } of page?.items ?? []) results.push(result as ChunkResult);
    after = page?.next ?? null;
  }
  return results;
}
