/** What one chunk comes to; the results of acks hold 16 KB at most. */
export interface ChunkResult {
  readonly words: number;
  readonly sentences: number;
}

/** A chunk is a paragraph. */
export function splitIntoChunks(text: string): string[] {
  return text.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== "");
}

/** The work on one chunk. Yours may call a model, and may fail. */
export function measure(text: string): ChunkResult {
  const words = text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
  if (words === 0) throw new Error("the chunk has no words");
  return { words, sentences: text.match(/[^.!?]+/g)?.length ?? 0 };
}
