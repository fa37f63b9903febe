import { CompletionTracker, type Coordinator, RequestWaitTracker } from "edge-coordinator";
import { coordinationErrors, groupRoutes, requestStatusRoutes } from "edge-coordinator/hono";
import { Hono } from "hono";

/** Work on one part of a report. It runs outside of the request, and acks `part` of the group. */
export interface Job {
  readonly groupId: string;
  readonly part: string;
}

/** What a report needs: a queue, and the time that each of its sources has. */
export interface ReportOptions {
  readonly send: (job: Job) => void;
  readonly sourceTimeoutSec: number;
  readonly reportTimeoutSec: number;
}

const STAGES = ["sources"] as const;

/**
 * A report waits for its sources. A source is a group: its text, and its images, which are a group of their own. Its end
 * settles the report's task; no handler is needed.
 */
export function reportApp(coordinator: Coordinator, options: ReportOptions): Hono {
  const requests = new RequestWaitTracker(coordinator, { stages: STAGES });
  return (
    new Hono()
      .onError(coordinationErrors({ onError: (error) => console.error(error) }))
      .post("/reports", async (c) => {
        const sources = await c.req.json<Record<string, string[]>>();
        const id = crypto.randomUUID();
        await requests.register(id, { timeoutSec: options.reportTimeoutSec });
        await requests.add(id, "sources", Object.keys(sources));
        await requests.seal(id);
        for (const [source, images] of Object.entries(sources)) {
          await collect(coordinator, { ...options, requestId: id, source, images });
        }
        return c.json({ id }, 202, { location: `/reports/${id}` });
      })
      // Without authentication: a client that knows an id reads its status. `/reports/ID` and `/reports/ID/events`.
      .route("/reports", requestStatusRoutes({ coordinator, stages: STAGES, scope: "public" }))
      .route("/sources", groupRoutes({ coordinator, scope: "public" }))
  );
}

/** Registers the groups of one source, then sends their work. */
async function collect(
  coordinator: Coordinator,
  {
    requestId,
    source,
    images,
    sourceTimeoutSec: timeoutSec,
    send,
  }: ReportOptions & { readonly requestId: string; readonly source: string; readonly images: readonly string[] },
): Promise<void> {
  const tracker = new CompletionTracker(coordinator);
  const [groupId, imagesId] = [`${requestId}.${source}`, `${requestId}.${source}.images`];
  // The end of a source acks its task of the report. A source that times out fails it, so that the report still ends.
  await tracker.register(groupId, ["text", { id: "images", group: imagesId }], {
    parent: { requestId, stage: "sources", taskId: source },
    timeoutSec,
  });
  // Named as a child by `group`: when the source times out, its images are cancelled too.
  await tracker.register(imagesId, images, { parent: { groupId, taskId: "images" }, timeoutSec: 0 });
  send({ groupId, part: "text" });
  for (const part of images) send({ groupId: imagesId, part });
}
