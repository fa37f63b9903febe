import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Random } from "../dev/random.js";
import { CoordinationError, type GroupStatus } from "../src/index.js";
import { verify } from "../src/webhook/index.js";
import { startedWith, tellParent } from "./child.js";
import { ChunkStore } from "./chunk-store.js";
import { type IndexEntry, IndexFile } from "./index-file.js";

export interface ReceiverStart {
  readonly secret: string;
  readonly indexFile: string;
  readonly storeFolder: string;
  readonly seed: number;
  /** How often the answer to a first attempt is lost, after the effect. */
  readonly lossRate: number;
}

export type FromReceiver =
  | { readonly type: "ready"; readonly port: number }
  /** `effect`: the document was published; `repeat`: it had been, this attempt changed nothing. */
  | { readonly type: "attempt"; readonly documentId: string; readonly outcome: "effect" | "repeat" }
  /** An attempt whose answer was lost on purpose. */
  | { readonly type: "lost" }
  | { readonly type: "refused"; readonly reason: string };

/** The application's end of the webhooks: verifies, drops what it has had, and publishes. */
class Receiver {
  readonly #secret: string;
  readonly #index: IndexFile;
  readonly #store: ChunkStore;
  readonly #random: Random;
  readonly #lossRate: number;
  /** One effect for each delivery id, under way or done. */
  readonly #effects = new Map<string, Promise<void>>();

  constructor({ secret, indexFile, storeFolder, seed, lossRate }: ReceiverStart) {
    this.#secret = secret;
    this.#index = new IndexFile(indexFile);
    this.#store = new ChunkStore(storeFolder);
    this.#random = new Random(seed);
    this.#lossRate = lossRate;
    // Were this process started anew, the index itself would tell what has been done.
    for (const { deliveryId } of this.#index.entries()) this.#effects.set(deliveryId, Promise.resolve());
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    // The sender was killed while it spoke: it will try again.
    if (body === undefined) return;
    const { id, payload } = await verify({ secrets: this.#secret, headers: request.headers, body });
    const { data } = payload as { data: GroupStatus };
    const isFirst = await this.#once(id, () => this.#publish(id, data));
    tell({ type: "attempt", documentId: data.groupId, outcome: isFirst ? "effect" : "repeat" });
    if (isFirst && this.#random.chance(this.#lossRate)) {
      tell({ type: "lost" });
      if (this.#random.chance(0.5)) response.socket?.destroy();
      else response.writeHead(503).end();
      return;
    }
    response.writeHead(204).end();
  }

  /** Runs the effect unless it has been run; says whether this call ran it. One that fails may be tried again. */
  async #once(deliveryId: string, effect: () => Promise<void>): Promise<boolean> {
    const standing = this.#effects.get(deliveryId);
    if (standing !== undefined) {
      await standing;
      return false;
    }
    const running = effect();
    this.#effects.set(deliveryId, running);
    try {
      await running;
    } catch (error) {
      this.#effects.delete(deliveryId);
      throw error;
    }
    return true;
  }

  /** Joins a document's embeddings into the index: of a completed one all, of any other end those that are there. */
  async #publish(deliveryId: string, { groupId: documentId, state, total }: GroupStatus): Promise<void> {
    const loads = Array.from({ length: total }, (_, i) => this.#store.load(documentId, i + 1));
    const found = await Promise.allSettled(loads);
    const chunks = state === "completed" ? await Promise.all(loads) : found.flatMap(valuesOf);
    this.#index.append({ documentId, deliveryId, state, chunks } satisfies IndexEntry);
  }
}

function valuesOf<T>(outcome: PromiseSettledResult<T>): T[] {
  return outcome.status === "fulfilled" ? [outcome.value] : [];
}

/** A request's body; `undefined` when it was cut off. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  } catch (error) {
    if (request.complete) throw error;
    return undefined;
  }
  return Buffer.concat(parts);
}

function tell(message: FromReceiver): void {
  tellParent(message);
}

const receiver = new Receiver(await startedWith<ReceiverStart>());
const server = createServer((request, response) => {
  receiver.serve(request, response).catch((error: unknown) => {
    const isForged = error instanceof CoordinationError && error.code === "unauthorized";
    tell({ type: "refused", reason: error instanceof Error ? error.message : String(error) });
    if (!response.headersSent) response.writeHead(isForged ? 401 : 500).end();
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
tell({ type: "ready", port: typeof address === "object" && address !== null ? address.port : 0 });
