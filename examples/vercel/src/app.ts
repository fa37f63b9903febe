import { coordinationErrors, drainRoutes, requestStatusRoutes, requestWait } from "edge-coordinator/hono";
import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { timingSafeEqual } from "hono/utils/buffer";
import { type ChunkMessage, countWords, sendChunks, splitIntoChunks } from "./chunks.js";
import { coordinatorOf, documentsOf, STAGES, type Waiting } from "./documents.js";
import type { AppContext, Env } from "./env.js";

const MAX_CHUNKS = 100;

const waiting = {
  coordinator: coordinatorOf,
  stages: STAGES,
  // One scope for all who have the token. In an app with users it is the user's id.
  scope: () => "documents",
  // An edge function has to begin its response within 25 s.
  maxWaitMs: 20_000,
};

export const app = new Hono<{ Bindings: Env }>();
app.onError(coordinationErrors({ onError: (error) => console.error(error) }));

// In front of the routes that read `waiting`: their scope holds what was authenticated.
const authenticated = bearerAuth<{ Bindings: Env }>({
  verifyToken: (token, c) => timingSafeEqual(token, secretOf(c, "API_TOKEN")),
});
app.use("/documents", authenticated);
app.use("/requests/*", authenticated);

/** Accepts a document. Sending it again with the same `Idempotency-Key` does no harm. */
app.post("/documents", requestWait(waiting), async (c) => {
  const chunks = splitIntoChunks(await c.req.text());
  if (chunks.length === 0 || chunks.length > MAX_CHUNKS) {
    return c.json({ detail: `a document has 1 to ${MAX_CHUNKS} paragraphs` }, 422);
  }
  const { id, publicId, add } = c.var.requestWait;
  const task: Waiting = { requestId: id, stage: "index", taskId: publicId };
  const messages = chunks.map((text, i): ChunkMessage => ({ documentId: id, chunkId: String(i + 1), text }));
  await add(task.stage, task.taskId);
  const status = await documentsOf(c).register(
    id,
    messages.map(({ chunkId }) => chunkId),
    {
      onComplete: { handler: "publish", payload: task },
      // A document that times out fails the request's task, so that the wait ends.
      onTimeout: { task },
    },
  );
  // Registered first: should this request die now, its copy sends the chunks, or else the deadline ends the document.
  if (status.state === "open") await sendChunks(c, messages);
  return c.json({ document: publicId, chunks: chunks.length }, 202);
});

/** `GET /requests/ID` and `GET /requests/ID/events`. */
app.route("/requests", requestStatusRoutes(waiting));

app.use(
  "/internal/chunks",
  bearerAuth<{ Bindings: Env }>({ verifyToken: (token, c) => timingSafeEqual(token, secretOf(c, "CRON_SECRET")) }),
);

/** Works on a chunk. It may come twice, or too late: the verdict says so, and nothing counts twice. */
app.post("/internal/chunks", async (c) => {
  const { documentId, chunkId, text } = await c.req.json<ChunkMessage>();
  const { verdict, remaining } = await documentsOf(c).ack(documentId, { id: chunkId, result: countWords(text) });
  return c.json({ verdict, remaining });
});

/** The net: deadlines that nobody looked at, and what a function left that died. Called by the cron in vercel.json. */
app.route(
  "/internal/drain",
  drainRoutes({ coordinator: drained, secret: (c) => secretOf(c, "CRON_SECRET"), limit: 1_000, budgetMs: 10_000 }),
);

/** The handlers have to be there when it drains. */
function drained(c: AppContext) {
  const coordinator = coordinatorOf(c);
  documentsOf(c, coordinator);
  return coordinator;
}

function secretOf(c: AppContext, name: "API_TOKEN" | "CRON_SECRET"): string {
  const secret = c.env[name];
  if (!secret) throw new Error(`${name} is not set`);
  return secret;
}
