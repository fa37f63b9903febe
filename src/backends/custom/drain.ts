import type { Clock } from "../../clock.js";
import type { DrainReport, WakingMachine } from "../../coordinator.js";
import { CoordinationError } from "../../errors.js";
import { findTransition } from "../../machines/index.js";
import type { DueRecord } from "./definition.js";
import { partsOfName } from "./names.js";

/** How many records are woken side by side. */
const CONCURRENCY = 4;
/** How far one drain looks into the store's list. */
const MAX_LINES = 20_000;

/** What a drain works with. */
export interface Drainer {
  readonly clock: Clock;
  /** The time by which records are due. */
  readonly nowMs: number;
  due(limit: number): Promise<readonly DueRecord[]>;
  /** False: it failed, and may still be due. */
  wake(machine: WakingMachine, id: string): Promise<boolean>;
}

export interface DrainLimits {
  readonly limit: number;
  readonly budgetMs: number;
  readonly signal: AbortSignal | undefined;
}

interface DueLine {
  readonly name: string;
  readonly machine: WakingMachine;
  readonly id: string;
}

/**
 * Wakes what is due, each record once, until the limit, the time or the signal says stop. One that fails does not count,
 * and stays in the store's list: the list is then read further, so that what stands behind it is reached.
 */
export async function drainDue(drainer: Drainer, { limit, budgetMs, signal }: DrainLimits): Promise<DrainReport> {
  const { clock, nowMs } = drainer;
  const stopAtMs = clock.now() + budgetMs;
  const mayGoOn = (): boolean => clock.now() < stopAtMs && signal?.aborted !== true;
  const tried = new Set<string>();
  const woken = new Set<string>();
  // One more than can be woken, to see whether something is left.
  for (let asked = limit + 1; ; ) {
    const lines = await drainer.due(asked);
    const due = lines.filter(({ atMs }) => atMs <= nowMs);
    const untried = due.filter(({ name }) => !tried.has(name)).flatMap(readLine);
    await wakeEach(drainer, untried.slice(0, limit - woken.size), { mayGoOn, tried, woken });
    const isCut = lines.length >= asked && due.length === lines.length;
    if (!isCut || woken.size >= limit || asked >= MAX_LINES || !mayGoOn()) {
      const rest = lines.filter(({ name }) => !woken.has(name)).map(({ atMs }) => atMs);
      const nextDueAtMs = rest.length === 0 ? undefined : Math.min(...rest);
      return { woken: woken.size, left: isCut || (nextDueAtMs ?? nowMs + 1) <= nowMs, nextDueAtMs };
    }
    asked = Math.min(lines.length + limit - woken.size + 1, MAX_LINES);
  }
}

async function wakeEach(
  { wake }: Drainer,
  lines: readonly DueLine[],
  { mayGoOn, tried, woken }: { mayGoOn: () => boolean; tried: Set<string>; woken: Set<string> },
): Promise<void> {
  const queue = lines.values();
  const worker = async (): Promise<void> => {
    for (const { name, machine, id } of queue) {
      if (!mayGoOn()) return;
      tried.add(name);
      if (await wake(machine, id)) woken.add(name);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

/** A machine of a later version is left to those who have it. */
function readLine({ name }: DueRecord): DueLine[] {
  const parts = partsOfName(name);
  if (parts === undefined) {
    throw new CoordinationError("backend_rejected", "the backend's due gave a name that it was never given");
  }
  const { machine, id } = parts;
  const canWake = findTransition(`${machine}.woken`) !== undefined;
  return canWake ? [{ name, machine: machine as WakingMachine, id }] : [];
}
