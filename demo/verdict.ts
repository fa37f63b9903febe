import type { GroupStatus } from "../src/index.js";
import type { Expectation } from "./expectation.js";
import type { IndexEntry } from "./index-file.js";
import type { Tally } from "./tally.js";

/** What a run left behind. */
export interface Outcome {
  readonly expectations: readonly Expectation[];
  readonly entries: readonly IndexEntry[];
  readonly tally: Tally;
  /** The groups as they stood in the end. */
  readonly statuses: ReadonlyMap<string, GroupStatus | null>;
}

/** Everything that must hold after a run and does not: a line each, none if all is well. */
export function brokenInvariants(outcome: Outcome): string[] {
  const { tally, entries, expectations } = outcome;
  const known = new Set(expectations.map(({ document }) => document.id));
  return [
    ...expectations.flatMap((expectation) => faultsOf(expectation, outcome)),
    ...entries
      .filter(({ documentId }) => !known.has(documentId))
      .map((entry) => `${entry.documentId}: never asked for`),
    ...tally.refused.map((reason) => `the receiver refused a webhook: ${reason}`),
    ...(tally.acks.has("unknown") ? [`${tally.acks.get("unknown")} acks were told "unknown"`] : []),
  ];
}

function faultsOf({ document, chunks, plan }: Expectation, { tally, entries, statuses }: Outcome): string[] {
  const faults: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) faults.push(`${document.id}: ${what}: ${String(found)} instead of ${String(wanted)}`);
  };
  const wanted = plan.stalls ? "timed_out" : "completed";
  const own = entries.filter(({ documentId }) => documentId === document.id);
  const status = statuses.get(document.id);
  expect("effects in the index", own.length, 1);
  expect("effects that the receiver told of", tally.effects.get(document.id) ?? 0, 1);
  for (const entry of own) {
    expect("state in the index", entry.state, wanted);
    if (!plan.stalls) expect("chunks in the index", entry.chunks.length, chunks);
  }
  expect("what its waiter was told", tally.waiters.get(document.id)?.state, wanted);
  expect("state in the end", status?.state, wanted);
  // On a slow machine more than the one chunk that nobody acks may be left when the watchdog comes.
  expect("a chunk that remains", (status?.remaining ?? 0) > 0, plan.stalls);
  expect("delivery", status?.delivery.state, "delivered");
  return faults;
}
