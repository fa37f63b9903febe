/** How many numbers an embedding has. */
export const DIMENSIONS = 512;

/** Words that say nothing about what a text is about. */
const STOP_WORDS = new Set(
  (
    "a an and are as at be but by can do does for from has have how i if in into is it its no not of on or our so such " +
    "that the their then there these they this to use used using was we were what when where which will with you your"
  ).split(" "),
);

/**
 * A feature-hashing embedding: each word and each pair of neighbours is hashed to a dimension and a sign, its weight grows with the
 * logarithm of its count, and the whole has length 1 (or 0 for a text without words).
 *
 * @see https://alex.smola.org/papers/2009/Weinbergeretal09.pdf
 */
export function embed(text: string): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  for (const [feature, count] of featureCounts(text)) {
    const hash = fnv1a(feature);
    const sign = hash >>> 31 === 0 ? 1 : -1;
    const dimension = hash % DIMENSIONS;
    vector[dimension] = (vector[dimension] ?? 0) + sign * (1 + Math.log(count));
  }
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** The cosine of two embeddings of length 1. */
export function similarity(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

/** An embedding as text, four bytes a number. */
export function packVector(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

export function unpackVector(text: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
}

function featureCounts(text: string): Map<string, number> {
  const words = (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !STOP_WORDS.has(word));
  const counts = new Map<string, number>();
  for (const [i, word] of words.entries()) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
    const next = words[i + 1];
    if (next !== undefined) counts.set(`${word} ${next}`, (counts.get(`${word} ${next}`) ?? 0) + 1);
  }
  return counts;
}

/** FNV-1a over UTF-16 units, mixed once more: its low bits alone are poor. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
