import type { Site } from "./site.js";

const path = (id: string, step = ""): string => `/v1/requests/${id}${step}`;

interface Seeded {
  readonly id: string;
  readonly stage: string;
  readonly taskIds: readonly string[];
  readonly done?: readonly string[];
  readonly options?: object;
}

async function begin(site: Site, { id, stage, taskIds, done = [], options }: Seeded): Promise<void> {
  await site.call("PUT", path(id), options);
  await site.call("POST", path(id, "/tasks"), { stage, taskIds });
  for (const taskId of done) await site.call("POST", path(id, "/acks"), { stage, taskId });
}

/** The four nights of groups, as requests have them. Runs while the Worker's clock is behind. */
export async function seedStuckRequests(site: Site): Promise<void> {
  await Promise.all([workerDied(site), handlerRenamed(site), receiverGone(site), childHangs(site)]);
}

async function workerDied(site: Site): Promise<void> {
  const id = "upload-31";
  const taskIds = ["chunk-1", "chunk-2", "chunk-3", "chunk-4"];
  const options = { timeoutSec: 3_600, metadata: { user: "ada" } };
  await begin(site, { id, stage: "embed", taskIds, done: ["chunk-1", "chunk-2"], options });
  await site.call("POST", path(id, "/acks"), { stage: "embed", taskId: "chunk-3", error: "the model is overloaded" });
  await site.call("POST", path(id, "/counts"), { stage: "embed", requeued: 2 });
  await site.call("POST", path(id, "/seal"));
}

async function handlerRenamed(site: Site): Promise<void> {
  const options = { onEnd: { handler: "notifyUser" } };
  await begin(site, { id: "upload-32", stage: "parse", taskIds: ["a.pdf"], done: ["a.pdf"], options });
  await site.call("POST", path("upload-32", "/seal"));
}

async function receiverGone(site: Site): Promise<void> {
  const options = { onEnd: { url: site.receiverUrl } };
  await begin(site, { id: "upload-33", stage: "parse", taskIds: ["b.pdf"], done: ["b.pdf"], options });
  await site.call("POST", path("upload-33", "/seal"));
}

/** A request waits for a group, which waits for a page. */
async function childHangs(site: Site): Promise<void> {
  const options = { timeoutSec: 7_200 };
  await begin(site, { id: "upload-34", stage: "scan", taskIds: ["cover", "scan-34"], done: ["cover"], options });
  await site.call("POST", path("upload-34", "/seal"));
  const parent = { requestId: "upload-34", stage: "scan", taskId: "scan-34" };
  await site.call("PUT", "/v1/groups/scan-34", { tasks: ["page-1", "page-2"], timeoutSec: 7_200, parent });
  await site.call("POST", "/v1/groups/scan-34/acks", { tasks: ["page-1"] });
}

/** Requests that are at work, and one that is complete until more tasks come. */
export async function seedRequests(site: Site): Promise<void> {
  await Promise.all([
    begin(site, { id: "upload-35", stage: "parse", taskIds: ["c.pdf", "d.pdf"], done: ["c.pdf"] }),
    begin(site, { id: "upload-36", stage: "parse", taskIds: ["e.pdf"], done: ["e.pdf"] }),
  ]);
}
