import { afterEach, expect, it } from "vitest";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker, RequestWaitTracker } from "../../src/index.js";
import { count, reached } from "../support/figures.js";
import { KillableWorker } from "../support/killable-worker.js";
import { patientFetch } from "../support/patient-fetch.js";

const TOKEN = "a-token-for-tests";
const WAITERS = 100;
const TIMEOUT_MS = 40_000;
/** More than a wait pauses after a lost connection, and less than what is left of its hop or of its time. */
const SOON_MS = 10_000;

let worker: KillableWorker;
afterEach(() => worker.close());

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function client(fetch?: typeof patientFetch) {
  const coordinator = new HttpCoordinator({ url: worker.url, token: TOKEN, ...(fetch && { fetch }) });
  return {
    groups: new CompletionTracker(coordinator),
    requests: new RequestWaitTracker(coordinator, { stages: ["fetch"] }),
  };
}

/** What the waiters must hear: of four groups in turn, and of a request. */
const SEEN = [
  { groupId: "counted", state: "completed", ok: true, succeeded: 2 },
  {
    groupId: "failing",
    state: "completed",
    ok: false,
    errors: [{ taskId: "a", stage: null, message: "no such page" }],
  },
  { groupId: "cancelled", state: "cancelled", ok: false, reason: "not wanted" },
  { groupId: "early", state: "completed", ok: true, succeeded: 2 },
  {
    state: "complete",
    stages: { fetch: { processed: 5, errorCount: 1, errors: [{ taskId: "r1", message: "gone" }] } },
  },
];

/** One of a hundred, in as many places: each has a coordinator of its own. */
function wait(turn: number): Promise<unknown> {
  const { groupId } = SEEN[turn % SEEN.length] as { groupId?: string };
  const { groups, requests } = client();
  if (groupId === undefined) return requests.wait("request", { timeoutMs: TIMEOUT_MS });
  return groups.wait(groupId, { timeoutMs: TIMEOUT_MS });
}

it("a hundred open waits outlive kill -9 of the Worker, twice, and hear the right end", async ({ task }) => {
  worker = await KillableWorker.start({ vars: { COORDINATOR_TOKEN: TOKEN } });
  const { groups, requests } = client(patientFetch);
  for (const id of ["counted", "failing", "cancelled"]) await groups.register(id, ["a", "b"]);
  await requests.register("request");
  await requests.add("request", "fetch", ["r1", "r2"]);
  let open = WAITERS;
  const waits = Array.from({ length: WAITERS }, (_, i) => wait(i).finally(() => open--));
  await pause(500);
  await groups.ack("counted", "a");
  await groups.ack("early", "a");
  await worker.kill();
  await worker.restart();
  await pause(500);
  await groups.fail("failing", "a", "no such page");
  await requests.fail("request", "fetch", "r1", "gone");
  await worker.kill();
  expect(open).toBe(WAITERS);

  // The calls that end them are sent while the Worker is down.
  const ends = [
    groups.ack("counted", "b"),
    groups.ack("failing", "b"),
    groups.cancel("cancelled", "not wanted"),
    groups.register("early", ["a", "b"]).then(() => groups.ack("early", "b")),
    requests.ack("request", "fetch", "r2", { processed: 5 }),
  ];
  await pause(100);
  await worker.restart();
  await Promise.all(ends);
  const endedAtMs = Date.now();
  const seen = await Promise.all(waits);
  const lastAfterMs = Date.now() - endedAtMs;
  for (const [i, status] of seen.entries()) expect(status).toMatchObject(SEEN[i % SEEN.length] ?? {});
  for (const [turn] of SEEN.entries()) {
    const told = seen.filter((_, i) => i % SEEN.length === turn).map((status) => JSON.stringify(status));
    expect(new Set(told).size).toBe(1);
  }
  reached(task, {
    row: "T6",
    backend: "http",
    reached: `${seen.length} open waits over ${worker.kills} kill -9 of the Worker: all right, the last ${count(lastAfterMs)} ms after the end`,
  });
  expect(lastAfterMs).toBeLessThan(SOON_MS);
});
