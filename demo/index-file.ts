import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { GroupState } from "../src/index.js";
import type { StoredChunk } from "./chunk-store.js";

/** What one webhook had as its effect: a line of the index. */
export interface IndexEntry {
  readonly documentId: string;
  readonly deliveryId: string;
  readonly state: GroupState;
  /** Of a completed document all of them; otherwise those that were there. */
  readonly chunks: readonly StoredChunk[];
}

/** The index: JSON lines that are only ever appended to, so that an effect that happened twice would stand there twice. */
export class IndexFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get exists(): boolean {
    return existsSync(this.#path);
  }

  append(entry: IndexEntry): void {
    appendFileSync(this.#path, `${JSON.stringify(entry)}\n`);
  }

  entries(): IndexEntry[] {
    if (!this.exists) return [];
    const lines = readFileSync(this.#path, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as IndexEntry);
  }
}
