import { readFile } from "node:fs/promises";
import type { Random } from "../dev/random.js";
import { splitIntoChunks } from "./chunks.js";
import type { Document } from "./documents.js";
import type { Plan } from "./work.js";

/** What is to become of a document: counted here, without the coordinator, so that the outcome can be held against it. */
export interface Expectation {
  readonly document: Document;
  readonly chunks: number;
  readonly plan: Plan;
}

export interface Timeouts {
  readonly timeoutSec: number;
  /** The watchdog of the document that stalls. */
  readonly stalledSec: number;
}

const LATE_RATE = 0.15;

/** Decides what goes wrong with which document; documents without text are left out. */
export async function expectationsOf(
  documents: readonly Document[],
  random: Random,
  { timeoutSec, stalledSec }: Timeouts,
): Promise<Expectation[]> {
  const counted = await Promise.all(
    documents.map(async (document) => {
      const chunks = splitIntoChunks(await readFile(document.file, "utf8")).length;
      return { document, chunks };
    }),
  );
  const worthwhile = counted.filter(({ chunks }) => chunks > 0);
  // With one document alone nothing would be published: none stalls then.
  const stalled = worthwhile.length < 2 ? -1 : Math.floor(random.next() * worthwhile.length);
  const alwaysLate = (stalled + 1) % Math.max(1, worthwhile.length);
  return worthwhile.map((entry, i): Expectation => {
    const stalls = i === stalled;
    const registersLate = !stalls && (random.chance(LATE_RATE) || i === alwaysLate);
    return { ...entry, plan: { registersLate, stalls, timeoutSec: stalls ? stalledSec : timeoutSec } };
  });
}
