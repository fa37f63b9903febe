import { MemoryCoordinator } from "edge-coordinator";
import { coordinationErrors, requestStatusRoutes, requestWait } from "edge-coordinator/hono";
import { Hono } from "hono";
import { Queue } from "./queue.js";
import { Worker } from "./worker.js";

const coordinator = new MemoryCoordinator();

/** The same for the middleware, for the routes that tell of requests, and for the worker. */
const options = {
  coordinator,
  stages: ["parse", "embed"] as const,
  // Callers are not authenticated here, so the server makes every id. The README says how a client can choose them.
  scope: "public" as const,
};

const worker = new Worker(options);
const queue = new Queue((job) => worker.work(job));

export const app = new Hono()
  .onError(coordinationErrors({ onError: (error) => console.error(error) }))
  .post("/documents", requestWait(options), async (c) => {
    const pages = Number(c.req.query("pages") ?? 3);
    if (!Number.isInteger(pages) || pages < 0 || pages > 1_000) return c.json({ detail: "pages: 0 to 1000" }, 422);
    const { id, publicId, add } = c.var.requestWait;
    // The document has the request's id: a request that is sent again asks for the same document.
    const { added } = await add("parse", publicId);
    // With a queue that may lose nothing, send whenever the outcome is not "late": the first copy may have died before it
    // sent the job.
    if (added.length > 0) queue.send({ requestId: id, documentId: publicId, pages });
    return c.json({ document: publicId }, 202);
  })
  .route("/requests", requestStatusRoutes(options));
