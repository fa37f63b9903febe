import type { DocumentCoordinator } from "./coordinator.js";

/** What wrangler.toml binds. */
export interface Env {
  readonly CHUNKS: Queue<ChunkMessage>;
  readonly COORDINATOR: DurableObjectNamespace<DocumentCoordinator>;
  readonly PUBLISHED: R2Bucket;
  readonly DEADLINE_SEC: string;
  readonly REDELIVER: string;
}

/** One chunk on its way through the queue. */
export interface ChunkMessage {
  readonly documentId: string;
  readonly chunkId: string;
  readonly text: string;
}
