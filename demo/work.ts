import { readFile } from "node:fs/promises";
import type { CompletionTracker, Verdict } from "../src/index.js";
import type { ChunkStore } from "./chunk-store.js";
import { splitIntoChunks } from "./chunks.js";
import type { Document } from "./documents.js";
import { embed, packVector } from "./embedding.js";
import { withPatience } from "./patience.js";
import type { RequestCounter } from "./request-counter.js";

/** What goes wrong with a document on purpose. */
export interface Plan {
  /** Its chunks are queued before its group is registered, so that acks come early. */
  readonly registersLate: boolean;
  /** One of its chunks is never acked, so that its watchdog ends it. */
  readonly stalls: boolean;
  readonly timeoutSec: number;
}

/** What the queue carries. Any message may come twice, to any process. */
export type Message =
  | { readonly kind: "document"; readonly document: Document; readonly plan: Plan }
  | { readonly kind: "register"; readonly documentId: string; readonly chunks: number; readonly timeoutSec: number }
  | {
      readonly kind: "chunk";
      readonly documentId: string;
      readonly chunk: number;
      readonly text: string;
      readonly isLost: boolean;
    };

/** What became of one ack, for the report. */
export interface AckReport {
  readonly documentId: string;
  readonly chunk: number;
  readonly verdict: Verdict;
  /** This ack ended its group. */
  readonly ended: boolean;
  /** When it was sent, the last time; milliseconds since 1970, with a fraction. */
  readonly sentAtMs: number;
  /** HTTP requests that it took, those among them that failed. */
  readonly requests: number;
}

/** What a worker has at hand. None of it knows of other workers. */
export interface Bench {
  readonly tracker: CompletionTracker;
  readonly store: ChunkStore;
  readonly requests: RequestCounter;
  /** Where the end of a document is told. */
  readonly webhookUrl: string;
  send(...messages: readonly Message[]): void;
  acked(report: AckReport): void;
}

/** Does what a message says; once it resolves, the message may be settled. */
export async function work(message: Message, bench: Bench): Promise<void> {
  switch (message.kind) {
    case "document":
      return fanOut(message.document, message.plan, bench);
    case "register":
      return register(message.documentId, message.chunks, message.timeoutSec, bench);
    case "chunk":
      return embedChunk(message, bench);
  }
}

async function fanOut(document: Document, plan: Plan, bench: Bench): Promise<void> {
  const documentId = document.id;
  const texts = splitIntoChunks(await readFile(document.file, "utf8"));
  const last = texts.length;
  const chunks = texts.map((text, i): Message => {
    return { kind: "chunk", documentId, chunk: i + 1, text, isLost: plan.stalls && i + 1 === last };
  });
  if (plan.registersLate) {
    bench.send(...chunks, { kind: "register", documentId, chunks: last, timeoutSec: plan.timeoutSec });
  } else {
    await register(documentId, last, plan.timeoutSec, bench);
    bench.send(...chunks);
  }
}

async function register(documentId: string, chunks: number, timeoutSec: number, bench: Bench): Promise<void> {
  const tasks = Array.from({ length: chunks }, (_, i) => taskId(i + 1));
  const options = { onEnd: { url: bench.webhookUrl }, metadata: { chunks }, timeoutSec };
  await withPatience(() => bench.tracker.register(documentId, tasks, options));
}

async function embedChunk(message: Message & { kind: "chunk" }, bench: Bench): Promise<void> {
  const { documentId, chunk, text } = message;
  await bench.store.save(documentId, chunk, { text, vector: packVector(embed(text)) });
  // The message of the chunk that stalls its document is settled like any other, and its ack never made.
  if (message.isLost) return;
  let sentAtMs = 0;
  const { value, requests } = await bench.requests.count(() =>
    withPatience(() => {
      sentAtMs = preciseNow();
      return bench.tracker.ack(documentId, taskId(chunk));
    }),
  );
  const { verdict, ended } = value;
  bench.acked({ documentId, chunk, verdict, ended, sentAtMs, requests });
}

function taskId(chunk: number): string {
  return `chunk-${chunk}`;
}

/** Milliseconds since 1970 with a fraction: comparable between the processes of one machine. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
