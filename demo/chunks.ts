/** How long a chunk is at most, in characters. */
export const MAX_CHUNK = 1_200;
/** A chunk that has reached this length is not filled up any more. */
export const FULL_CHUNK = 800;

/** Cuts a text into chunks of whole paragraphs; only a paragraph that is longer than a chunk is cut itself. */
export function splitIntoChunks(text: string): string[] {
  const chunks: string[] = [];
  let chunk = "";
  for (const part of paragraphs(text)) {
    const joined = chunk === "" ? part : `${chunk}\n\n${part}`;
    if (joined.length <= MAX_CHUNK && chunk.length < FULL_CHUNK) {
      chunk = joined;
    } else {
      chunks.push(chunk);
      chunk = part;
    }
  }
  if (chunk !== "") chunks.push(chunk);
  return chunks;
}

function paragraphs(text: string): string[] {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "")
    .flatMap(pieces);
}

/** A long paragraph in pieces: after a sentence or a line where there is one, else between words, else anywhere. */
function pieces(paragraph: string): string[] {
  const found: string[] = [];
  let rest = paragraph;
  while (rest.length > MAX_CHUNK) {
    const head = rest.slice(0, MAX_CHUNK);
    const end = Math.max(head.lastIndexOf(". ") + 1, head.lastIndexOf("\n"));
    const cut = end >= FULL_CHUNK ? end : wordEnd(head);
    found.push(rest.slice(0, cut).trim());
    rest = rest.slice(cut).trim();
  }
  return rest === "" ? found : [...found, rest];
}

function wordEnd(head: string): number {
  const space = head.lastIndexOf(" ");
  if (space > 0) return space;
  // Not between the halves of a surrogate pair.
  return /[\uD800-\uDBFF]$/.test(head) ? head.length - 1 : head.length;
}
