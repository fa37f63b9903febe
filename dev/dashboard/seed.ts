import { seedRequests, seedStuckRequests } from "./seed-requests.js";
import type { Site } from "./site.js";

/** How long ago the groups of the stories were registered. */
const AGO_MS = 20 * 60_000;

const path = (id: string, step = ""): string => `/v1/groups/${encodeURIComponent(id)}${step}`;
const range = (count: number, name: (n: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => name(i + 1));

/** The lists of those whose callback has failed, with an id of each. */
const UNDELIVERED = [
  ["/v1/groups?delivery=unhandled", "invoice-77"],
  ["/v1/groups?delivery=dead", "order-4711"],
  ["/v1/requests?delivery=unhandled", "upload-32"],
  ["/v1/requests?delivery=dead", "upload-33"],
] as const;
/** How long the objects have to try the callbacks, and how often a list is read meanwhile, in milliseconds. */
const TRIED_WITHIN_MS = 60_000;
const POLL_MS = 50;

/**
 * Makes the groups of four nights: a worker died, a handler was renamed, a receiver is gone, and a child group hangs. And others
 * that are well. Returns when the lists show the callbacks that failed.
 */
export async function seed(site: Site): Promise<void> {
  await site.set({ behindMs: AGO_MS });
  await Promise.all([
    workerDied(site),
    handlerRenamed(site),
    receiverGone(site),
    childHangs(site),
    timesOut(site),
    seedStuckRequests(site),
  ]);
  await site.set({ behindMs: 0 });
  await Promise.all([well(site), ended(site), seedRequests(site)]);
  await Promise.all(UNDELIVERED.map(([list, id]) => listed(site, list, id)));
}

interface Listed {
  readonly groupId?: string;
  readonly requestId?: string;
}

/** Waits until a list has the id: an object tries a callback after the call that ended the group. */
async function listed(site: Site, list: string, id: string): Promise<void> {
  const endsAtMs = Date.now() + TRIED_WITHIN_MS;
  for (;;) {
    const { items } = (await site.call("GET", list)) as { readonly items: readonly Listed[] };
    if (items.some(({ groupId, requestId }) => groupId === id || requestId === id)) return;
    if (Date.now() > endsAtMs) throw new Error(`${list} did not show ${id} within ${TRIED_WITHIN_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Nine of twelve chunks are done, one failed, and the worker of two died with them. */
async function workerDied(site: Site): Promise<void> {
  const ids = range(12, (n) => `chunk-${String(n).padStart(2, "0")}`);
  const tasks = [{ stage: "fetch", id: "document" }, ...ids.map((id) => ({ stage: "embed", id }))];
  await site.call("PUT", path("import-981"), { tasks, timeoutSec: 3_600, metadata: { tenant: "acme" } });
  const done = ids
    .slice(0, 9)
    .map((id, i) => ({ stage: "embed", id, result: { vectors: 128, model: "small", part: i } }));
  const failed = { stage: "embed", id: "chunk-10", error: "the worker ran out of memory at page 41" };
  await site.call("POST", path("import-981", "/acks"), {
    tasks: [{ stage: "fetch", id: "document" }, ...done, failed],
  });
}

async function handlerRenamed(site: Site): Promise<void> {
  const onEnd = { handler: "publishInvoice", payload: { number: 77 } };
  await site.call("PUT", path("invoice-77"), { tasks: ["render", "sign"], onEnd });
  await site.call("POST", path("invoice-77", "/acks"), { tasks: ["render", "sign"] });
}

async function receiverGone(site: Site): Promise<void> {
  await site.call("PUT", path("order-4711"), { tasks: ["pick", "pack"], onEnd: { url: site.receiverUrl } });
  await site.call("POST", path("order-4711", "/acks"), { tasks: ["pick", "pack"] });
}

/** A report waits for its images, these for a page, and that for one task. */
async function childHangs(site: Site): Promise<void> {
  const [report, images, page] = ["report-2026-11", "report-2026-11/images", "report-2026-11/images/page-31"] as const;
  const timeoutSec = 7_200;
  const { generation } = (await site.call("PUT", path(report), { tasks: [], open: true, timeoutSec })) as Status;
  await site.call("POST", path(report, "/tasks"), {
    tasks: ["text", { id: "images", group: images }, { id: "tables", group: "report-2026-11/tables" }],
  });
  await site.call("POST", path(report, "/acks"), { tasks: ["text"] });
  await site.call("POST", path(report, "/seal"));
  const parent = { groupId: report, taskId: "images", generation };
  const made = (await site.call("PUT", path(images), { tasks: [], open: true, timeoutSec, parent })) as Status;
  const pages = range(30, (n) => `page-${n}`);
  await site.call("POST", path(images, "/tasks"), { tasks: [...pages, { id: "page-31", group: page }] });
  await site.call("POST", path(images, "/acks"), { tasks: pages });
  await site.call("POST", path(images, "/seal"));
  const within = { groupId: images, taskId: "page-31", generation: made.generation };
  await site.call("PUT", path(page), { tasks: ["scan", "ocr"], timeoutSec, parent: within });
  await site.call("POST", path(page, "/acks"), { tasks: ["scan"] });
  const tables = { groupId: report, taskId: "tables", generation };
  await site.call("PUT", path("report-2026-11/tables"), { tasks: ["table-1"], timeoutSec, parent: tables });
}

interface Status {
  readonly generation: number;
}

async function timesOut(site: Site): Promise<void> {
  await site.call("PUT", path("export-12"), { tasks: range(3, (n) => `part-${n}`), timeoutSec: 300 });
}

/** Groups that are at work. */
async function well(site: Site): Promise<void> {
  for (const [id, total, done] of [
    ["batch-1201", 400, 233],
    ["batch-1202", 400, 61],
    ["thumbnails-88", 24, 23],
  ] as const) {
    const tasks = range(total, (n) => `item-${n}`);
    await site.call("PUT", path(id), { tasks, timeoutSec: 1_800 });
    await site.call("POST", path(id, "/acks"), { tasks: tasks.slice(0, done) });
  }
}

async function ended(site: Site): Promise<void> {
  for (const id of ["batch-1198", "batch-1199", "batch-1200"]) {
    await site.call("PUT", path(id), { tasks: ["a", "b"] });
    await site.call("POST", path(id, "/acks"), { tasks: ["a", "b"] });
  }
  await site.call("PUT", path("answers-5"), { tasks: ["x", "y"], complete: { toleratedFailureCount: 0 } });
  await site.call("POST", path("answers-5", "/acks"), { tasks: [{ id: "x", error: "the model refused" }] });
  await site.call("PUT", path("upload-3"), { total: 5 });
  await site.call("POST", path("upload-3", "/cancel"), { reason: "the user closed the page" });
}
