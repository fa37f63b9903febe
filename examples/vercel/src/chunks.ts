import { type AppContext, waitUntilOf } from "./env.js";

/** One chunk on its way to the work route. */
export interface ChunkMessage {
  readonly documentId: string;
  readonly chunkId: string;
  readonly text: string;
}

/** A chunk is a paragraph. */
export function splitIntoChunks(text: string): string[] {
  return text.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== "");
}

/** The work on one chunk. Yours may call a model. What it throws has QStash try again. */
export function countWords(text: string): number {
  return text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
}

/** Has every chunk worked on by a request of its own: by way of QStash, or, without its token, by a plain `fetch`, once. */
export async function sendChunks(c: AppContext, messages: readonly ChunkMessage[]): Promise<void> {
  const { APP_URL, CRON_SECRET, QSTASH_TOKEN, QSTASH_URL = "https://qstash.upstash.io" } = c.env;
  // From the settings, not from the request: a forged host would be sent the secret.
  if (!APP_URL) throw new Error("APP_URL is not set");
  const url = new URL("/internal/chunks", APP_URL).href;
  const work = `Bearer ${CRON_SECRET}`;
  if (QSTASH_TOKEN) {
    const headers = { authorization: `Bearer ${QSTASH_TOKEN}`, "upstash-forward-authorization": work };
    await Promise.all(messages.map((message) => post(`${QSTASH_URL}/v2/publish/${url}`, headers, message)));
    return;
  }
  // What is lost on this way is not sent again: the document's deadline ends it.
  const sent = Promise.allSettled(messages.map((message) => post(url, { authorization: work }, message)));
  const waitUntil = waitUntilOf(c);
  if (waitUntil) waitUntil(sent);
  else await sent;
}

async function post(url: string, headers: Record<string, string>, message: ChunkMessage): Promise<void> {
  const body = JSON.stringify(message);
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body,
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`a chunk was answered ${response.status}`);
}
