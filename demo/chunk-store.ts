import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface StoredChunk {
  readonly text: string;
  /** `packVector` of its embedding. */
  readonly vector: string;
}

/** Where stateless processes leave their results: one file a chunk. Saving again, or twice at once, does no harm. */
export class ChunkStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async save(documentId: string, chunk: number, stored: StoredChunk): Promise<void> {
    const file = this.#file(documentId, chunk);
    const draft = `${file}.${randomUUID()}`;
    await writeFile(draft, JSON.stringify(stored));
    await rename(draft, file);
  }

  /** Rejects when the chunk was never saved. */
  async load(documentId: string, chunk: number): Promise<StoredChunk> {
    return JSON.parse(await readFile(this.#file(documentId, chunk), "utf8")) as StoredChunk;
  }

  #file(documentId: string, chunk: number): string {
    const key = createHash("sha256").update(documentId).digest("hex").slice(0, 24);
    return join(this.#folder, `${key}-${chunk}.json`);
  }
}
