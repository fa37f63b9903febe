import { CompletionTracker } from "edge-coordinator";
import { DurableObjectCoordinator } from "edge-coordinator/durable-object";
import { coordinationErrors } from "edge-coordinator/hono";
import { Hono } from "hono";
import type { Payloads } from "./coordinator.js";
import type { ChunkMessage, Env } from "./env.js";
import { measure, splitIntoChunks } from "./text.js";

export { DocumentCoordinator } from "./coordinator.js";

/** As in wrangler.toml. */
const FAILED_QUEUE = "document-chunks-failed";
/** The chunks travel inside the messages, which hold 128 KB. Keep larger texts in R2, and send their keys. */
const MAX_CHARACTERS = 20_000;
const MAX_CHUNKS = 1_000;
/** The most messages that one `sendBatch` takes. */
const SEND_AT_ONCE = 100;

/** Made for each request and each batch: Workers share no I/O between them, and making one costs nothing. */
function trackerFor(env: Env): CompletionTracker<Payloads> {
  return new CompletionTracker<Payloads>(new DurableObjectCoordinator({ namespace: env.COORDINATOR }));
}

const app = new Hono<{ Bindings: Env }>();
app.onError(coordinationErrors({ onError: (error) => console.error(error) }));

/** Accepts a document. Sending it again, since the answer was lost, does no harm. */
app.post("/documents", async (c) => {
  const text = await c.req.text();
  const chunks = splitIntoChunks(text);
  if (chunks.length === 0 || chunks.length > MAX_CHUNKS || text.length > MAX_CHARACTERS) {
    const detail = `a document has 1 to ${MAX_CHUNKS} paragraphs, and ${MAX_CHARACTERS} characters at most`;
    return c.json({ detail }, 422);
  }
  const documentId = await digestOf(text);
  const messages = chunks.map((chunk, i): ChunkMessage => ({ documentId, chunkId: String(i + 1), text: chunk }));
  const payload = { title: text.trim().split("\n")[0]?.slice(0, 60) ?? "" };
  const status = await trackerFor(c.env).register(
    documentId,
    messages.map(({ chunkId }) => chunkId),
    {
      onComplete: { handler: "publish", payload },
      onTimeout: { handler: "giveUp", payload },
      timeoutSec: Number(c.env.DEADLINE_SEC),
    },
  );
  // Registered first: should this request die now, its copy sends the messages, or else the deadline ends the document.
  if (status.state === "open") {
    for (let i = 0; i < messages.length; i += SEND_AT_ONCE) {
      await c.env.CHUNKS.sendBatch(messages.slice(i, i + SEND_AT_ONCE).map((body) => ({ body })));
    }
  }
  return c.json({ documentId, status }, 202, { location: `/documents/${documentId}` });
});

/** Where a document stands, and everything that was ever published of it. */
app.get("/documents/:id", async (c) => {
  const documentId = c.req.param("id");
  const [status, { objects }] = await Promise.all([
    trackerFor(c.env).status(documentId),
    c.env.PUBLISHED.list({ prefix: `${documentId}/` }),
  ]);
  const published = await Promise.all(objects.map(async ({ key }) => (await c.env.PUBLISHED.get(key))?.json()));
  return c.json({ documentId, status, published }, status === null && published.length === 0 ? 404 : 200);
});

/** Runs the handler of the document's end once more: after its attempts are used up, or to see that nothing doubles. */
app.post("/documents/:id/redeliver", async (c) => {
  const documentId = c.req.param("id");
  const status = await trackerFor(c.env).redeliver(documentId);
  return c.json({ documentId, status }, status === null ? 404 : 202);
});

/** Works on chunks. A message may come twice, and after its document has ended: the verdict says so, and nothing counts twice. */
async function queue(batch: MessageBatch<ChunkMessage>, env: Env): Promise<void> {
  const tracker = trackerFor(env);
  for (const message of batch.messages) {
    const { documentId, chunkId, text } = message.body;
    try {
      // A chunk has failed when the queue has given it up, not before: an earlier attempt may yet be repeated.
      const task =
        batch.queue === FAILED_QUEUE
          ? { id: chunkId, error: "given up after the queue's last attempt" }
          : { id: chunkId, result: measure(text) };
      const { verdict } = await tracker.ack(documentId, task);
      console.log(`chunk ${chunkId} of ${documentId}: ${verdict} (attempt ${message.attempts})`);
      // The queue may forget the message only now that the tracker has it.
      if (env.REDELIVER === "yes" && message.attempts === 1) message.retry();
      else message.ack();
    } catch (error) {
      console.warn(`chunk ${chunkId} of ${documentId}: ${error} (attempt ${message.attempts})`);
      message.retry();
    }
  }
}

/** The text names the document, so that a second copy of a request finds what the first has begun. */
async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export default { fetch: app.fetch, queue } satisfies ExportedHandler<Env, ChunkMessage>;
