import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../dev/random.js";
import { CompletionTracker } from "../src/index.js";
import type { RunArgs } from "./args.js";
import type { Backend } from "./backends/backend.js";
import { backends } from "./backends/index.js";
import { Bundle, ROOT } from "./bundle.js";
import { Child } from "./child.js";
import { ChunkStore } from "./chunk-store.js";
import type { Closers } from "./closers.js";
import { Complaint } from "./complaint.js";
import { documentsOf, installedReadmes, type Library } from "./documents.js";
import { type Expectation, expectationsOf } from "./expectation.js";
import { Faults } from "./faults.js";
import { IndexFile } from "./index-file.js";
import { Progress, type Screen } from "./progress.js";
import { Queue } from "./queue.js";
import { ReceiverProcess } from "./receiver-process.js";
import { type Incidents, reportTable } from "./report.js";
import { RequestCounter } from "./request-counter.js";
import { StateFolder } from "./state-folder.js";
import { Tally } from "./tally.js";
import { brokenInvariants, type Outcome } from "./verdict.js";
import { settledStatuses, waitFor } from "./waiters.js";
import type { Message } from "./work.js";
import { processWorker, type StartWorker, taskWorker, WorkerPool } from "./worker-pool.js";
import type { FromWorker } from "./worker-process.js";

/** A run that has not come to its end by then has failed. */
const LIMIT_MS = 100_000;
const TIMEOUT_SEC = 90;
/** Longer than the server is away, so that the watchdog's alarm fires after the restart. */
const STALLED_SEC = 6;
const VISIBILITY_MS = 5_000;
const TWICE_RATE = 0.08;
const LOST_ANSWER_RATE = 0.1;
const TICK_MS = 50;
/** When everything has happened and the coordinator does not know of it yet. */
const LEASE_NOTE =
  "  waiting out the lease of a delivery whose process was killed: it will be tried again, and dropped as a repeat";
const LEASE_NOTE_MS = 3_000;

export interface Surroundings {
  readonly screen: Screen;
  /** Whatever is started is handed over here, so that nothing stays behind. */
  readonly closers: Closers;
}

/**
 * Where a run, or a query, finds its state.
 *
 * @throws Complaint for a folder outside of the project.
 */
export function stateFolder(path = ".demo"): StateFolder {
  const folder = resolve(ROOT, path);
  if (!folder.startsWith(ROOT)) {
    throw new Complaint(`--state must be a folder in the project, which ${folder} is not`);
  }
  return new StateFolder(folder);
}

/**
 * One run from the documents to the table; false when an invariant is broken.
 *
 * @throws Complaint for what its user can mend.
 */
export async function run(args: RunArgs, { screen, closers }: Surroundings): Promise<boolean> {
  const sinceMs = performance.now();
  const random = new Random(args.seed);
  const library = await libraryOf(args, random);
  const expectations = await expectationsOf(library.documents, random, {
    timeoutSec: TIMEOUT_SEC,
    stalledSec: STALLED_SEC,
  });
  if (expectations.length === 0) throw new Complaint(`there is no text in the ${library.label}`);
  const progress = new Progress(screen);
  const stage = await setStage(args, random, closers);
  closers.add(async () => progress.end());
  progress.say(
    `${expectations.length} of ${library.found} ${library.label}, ${stage.backend.label}, seed ${args.seed}`,
  );

  const { outcome, faults } = await perform(expectations, stage, progress, args.processes);
  progress.end();
  const faultsFound = brokenInvariants(outcome);
  screen.write(`\n${reportTable(outcome, incidentsOf(stage, faults, performance.now() - sinceMs))}\n`);
  if (faultsFound.length === 0) stage.state.keepIndex();
  await closers.close();
  if (faultsFound.length > 0) {
    screen.write(`broken:\n${faultsFound.map((fault) => `  ${fault}\n`).join("")}`);
    return false;
  }
  screen.write('Every document had exactly one effect. Try: npm run demo -- --query "retry a failed request"\n');
  return true;
}

function libraryOf({ path, limit }: RunArgs, random: Random): Promise<Library> {
  if (path === undefined) return installedReadmes(ROOT, limit, random);
  // npm runs scripts in the project's folder, and says where it was called.
  return documentsOf(resolve(process.env.INIT_CWD ?? "", path), limit, random);
}

/** Everything that a run needs, started. */
interface Stage {
  readonly backend: Backend;
  readonly receiver: ReceiverProcess;
  readonly queue: Queue<Message>;
  readonly pool: WorkerPool;
  readonly tally: Tally;
  readonly state: StateFolder;
  /** Aborted with the reason when the run cannot succeed any more. */
  readonly over: AbortController;
}

async function setStage(args: RunArgs, random: Random, closers: Closers): Promise<Stage> {
  const state = stateFolder(args.state);
  state.begin();
  closers.add(async () => state.end());
  const bundle = await Bundle.make(state.build);

  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const receiver = await ReceiverProcess.start(bundle.file("receiver"), {
    secret,
    indexFile: state.nextIndexPath,
    storeFolder: state.chunks,
    seed: args.seed,
    lossRate: LOST_ANSWER_RATE,
  });
  closers.add(() => receiver.close());
  const webhooks = { secret, allowedHost: receiver.allowedHost };
  const backend = await backends[args.backend]({ bundle, folder: state.run, port: args.port, webhooks });
  closers.add(() => backend.close());

  const tally = new Tally();
  receiver.onMessage((message) => tally.received(message));
  const over = new AbortController();
  const queue = new Queue<Message>({ visibilityMs: VISIBILITY_MS, comesTwice: () => random.chance(TWICE_RATE) });
  const pool = new WorkerPool(queue, workersOf(backend, bundle, receiver, state), {
    acked: (report) => tally.acked(report),
    failed: (message) => over.abort(new Complaint(message)),
  });
  closers.add(async () => {
    queue.close();
    await pool.close();
  });
  return { backend, receiver, queue, pool, tally, state, over };
}

function workersOf(backend: Backend, bundle: Bundle, receiver: ReceiverProcess, state: StateFolder): StartWorker {
  const { access, coordinator, webhooks } = backend;
  if (access !== undefined) {
    const start = { access, storeFolder: state.chunks, webhookUrl: receiver.url };
    return processWorker(() => new Child<FromWorker>(bundle.file("worker-process")), start);
  }
  return taskWorker({
    tracker: new CompletionTracker(coordinator, { webhooks }),
    store: new ChunkStore(state.chunks),
    requests: new RequestCounter(),
    webhookUrl: receiver.url,
  });
}

/** Queues the documents, breaks what is to be broken, and waits until everything has come to its end. */
async function perform(
  expectations: readonly Expectation[],
  stage: Stage,
  progress: Progress,
  processes: number,
): Promise<{ outcome: Outcome; faults: Faults }> {
  const { backend, pool, queue, tally, state, over } = stage;
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(LIMIT_MS)]);
  // Every waiter listens to it.
  setMaxListeners(0, signal);
  const patience = { timeoutMs: LIMIT_MS, signal };
  const tracker = new CompletionTracker(backend.coordinator);
  const faults = new Faults(pool, backend.server, (text) => progress.say(text));
  const ids = expectations.map(({ document }) => document.id);
  const allChunks = expectations.reduce((sum, { chunks }) => sum + chunks, 0);
  const isDone = (id: string) => tally.waiters.has(id) && tally.effects.has(id);
  const tick = () => {
    const documents = ids.filter(isDone).length;
    progress.show({ chunks: tally.chunks, allChunks, documents, allDocuments: ids.length });
    faults.at(tally.chunks / allChunks);
    return documents === ids.length && queue.isIdle;
  };

  for (const id of ids) {
    waitFor(tracker, id, patience).then((told) => tally.waiters.set(id, told), ignoreAbort);
  }
  pool.grow(processes);
  for (const { document, plan } of expectations) queue.send({ kind: "document", document, plan });
  while (!tick() && !signal.aborted) await pause(TICK_MS);
  over.signal.throwIfAborted();
  await faults.over();
  const slow = setTimeout(() => progress.say(LEASE_NOTE), LEASE_NOTE_MS);
  const statuses = await settledStatuses(tracker, ids, patience).finally(() => clearTimeout(slow));
  const entries = new IndexFile(state.nextIndexPath).entries();
  return { outcome: { expectations, entries, tally, statuses }, faults };
}

/** A waiter that had to give up has been told nothing: the table says so. */
function ignoreAbort(): void {}

function incidentsOf({ queue, pool, backend }: Stage, faults: Faults, elapsedMs: number): Incidents {
  const { workersKilled, serverKills, serverAwayMs } = faults;
  return {
    copies: queue.copies,
    redelivered: queue.redelivered,
    workersKilled,
    dropped: pool.dropped,
    serverName: backend.server?.name,
    serverKills,
    serverAwayMs,
    elapsedMs,
  };
}
