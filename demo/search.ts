import { embed, similarity, unpackVector } from "./embedding.js";
import type { IndexEntry } from "./index-file.js";

export interface Hit {
  readonly documentId: string;
  readonly score: number;
  readonly text: string;
}

/** The chunks that are nearest to the query, the nearest first; none that has nothing in common with it. */
export function search(entries: readonly IndexEntry[], query: string, limit = 5): Hit[] {
  const wanted = embed(query);
  return entries
    .flatMap(({ documentId, chunks }) =>
      chunks.map(({ text, vector }) => ({ documentId, text, score: similarity(wanted, unpackVector(vector)) })),
    )
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, limit);
}

const SNIPPET = 160;

/** A hit as it is shown: its score, its document, and where in the chunk the query's words begin. */
export function describeHit({ documentId, score, text }: Hit, query: string): string {
  const flat = text.replaceAll(/\s+/g, " ");
  const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const places = words.map((word) => flat.toLowerCase().indexOf(word)).filter((place) => place >= 0);
  const start = Math.max(0, Math.min(...places, flat.length) - 40);
  const from = places.length === 0 ? 0 : start;
  const cut = flat.slice(from, from + SNIPPET);
  return `${score.toFixed(3)}  ${documentId}\n       ${from > 0 ? "…" : ""}${cut}${from + SNIPPET < flat.length ? "…" : ""}`;
}
