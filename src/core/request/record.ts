import { decode, encode, formatInteger } from "../host.js";
import { nextNumber, numbersUntilMs } from "../numbers.js";
import { emptyRing, type OpRing } from "../recent-operations.js";
import type { Store } from "../store.js";

/**
 * What is stored of a request. A mark is membership in a set, like an ack: the member `t:LIFE:STAGE:ROOT` holds "" while a
 * registered root is open, `.OP` once it was marked by that call, `~OP` when it was marked before its registration, and
 * `.~OP` when that came too. `y:t:LIFE:STAGE:ROOT` holds what such an early mark brings, until the root is registered. Other
 * members: `e:N` errors, and those of the ring of operations.
 *
 * An id may be used again as soon as it was cleaned up. For a minute the record then knows its last lives, so that a late
 * copy of a call that belongs to one of them changes nothing in the next.
 */
export interface RequestHead {
  /** When this use of the id began. */
  beganAtMs: number;
  /** The stages of its last lives, by whose places their marks are named: this life is the one after them. */
  pastStages: string[][];
  /** The calls that have registered the last lives, and those that have cleaned them up. */
  registeredBy: string[];
  cleanedBy: string[];
  /** Grows with every change; begins at the server's time, so that it never falls back. */
  version: number;
  /** How many roots are registered, and how many of them are open. */
  roots: number;
  open: number;
  /** How many marks wait for their root's registration, together with the roots that they hand on to. */
  early: number;
  /** It takes no roots but those that a registered root hands on to. */
  sealed: boolean;
  /** The calls that registered this life and have not abandoned it: 16 at most, then one name that no call has. */
  callers: string[];
  /** Its last caller has failed. The end stays readable; the next registration begins another life. */
  abandoned?: boolean;
  /** It was cleaned up: for a moment those who wait still read how it ended, all others find nothing. */
  cleaned?: boolean;
  stages: StageCounts[];
  /** How many errors are kept word by word. */
  kept: number;
  /** The calls of the last minute that belong to no root. */
  ring: OpRing;
  ttlMs: number;
  refreshedAtMs: number;
}

export interface StageCounts {
  name: string;
  processed: number;
  requeueCount: number;
  errorCount: number;
}

export interface RequestView {
  complete: boolean;
  version: number;
  /** How many registered roots are not marked. */
  open: number;
  stages: StageCounts[];
  errors: { stage: string; message: string }[];
}

/** Roots of one stage. */
export interface StageRoots {
  stage: string;
  roots: string[];
}

/** Why nothing was written: a documented cap was reached. */
export type RequestRefusal = "roots" | "early" | "stages" | "counts";

/** How many roots a request may have; how many stages; how many errors are kept word by word. */
export const MAX_ROOTS = 100_000;
/** How many marks may wait for their root's registration, with the roots that they hand on to: a room of their own. */
export const MAX_EARLY_MARKS = 10_000;
export const MAX_STAGES = 64;
export const MAX_ERRORS = 100;
/** How many lives of an id in a row are known. */
export const MAX_LIVES = 8;
/** How many callers of one life are known. With more, the life cannot be abandoned. */
export const MAX_CALLERS = 16;
const MAX_COUNT = 1_000_000_000_000;

export function open(store: Store): RequestHead | undefined {
  const head = store.head<RequestHead>();
  return head === undefined || head.cleaned === true ? undefined : head;
}

export function isComplete(head: RequestHead): boolean {
  return head.open <= 0 && (head.roots > 0 || head.sealed);
}

/** Complete for good. */
export function isFinal(head: RequestHead): boolean {
  return head.sealed && isComplete(head);
}

/** A new use of the id. The marks of the last lives stay, to be known again; of many in a row only so many. */
export function begin(store: Store, { op, ttlMs }: { op: string; ttlMs: number }): void {
  const past = store.head<RequestHead>();
  const known = past === undefined || past.pastStages.length >= MAX_LIVES - 1 ? undefined : past;
  if (known === undefined) store.clear();
  save(store, {
    beganAtMs: store.nowMs,
    pastStages: known === undefined ? [] : [...known.pastStages, known.stages.map(({ name }) => name)],
    registeredBy: [...(past?.registeredBy ?? []), op].slice(-MAX_LIVES),
    cleanedBy: past?.cleanedBy ?? [],
    version: past?.version ?? 0,
    roots: 0,
    open: 0,
    early: 0,
    sealed: false,
    callers: [op],
    stages: [],
    kept: 0,
    ring: known?.ring ?? emptyRing(),
    ttlMs,
    refreshedAtMs: store.nowMs,
  });
}

/** Stores a change. A pending request lives on while it is written to; its TTL is put off every quarter of it at most. */
export function save(store: Store, head: RequestHead): void {
  head.version = nextNumber(store, head.version);
  if (isComplete(head)) {
    head.refreshedAtMs = store.nowMs;
    store.notify();
  }
  keep(store, head);
  store.put(head);
}

export function keep(store: Store, head: RequestHead): void {
  if (store.nowMs - head.refreshedAtMs >= head.ttlMs / 4) head.refreshedAtMs = store.nowMs;
  const fromMs = head.version > store.nowMs ? numbersUntilMs(store, head.version) : head.refreshedAtMs;
  store.keepUntil(fromMs + head.ttlMs);
}

/** The stage's place in the head, from 1; 0 when it is not there and no other may be added. */
export function stageNumber(head: RequestHead, name: string): number {
  let number = 0;
  for (const stage of head.stages) {
    number += 1;
    if (stage.name === name) return number;
  }
  if (number >= MAX_STAGES) return 0;
  head.stages.push({ name, processed: 0, requeueCount: 0, errorCount: 0 });
  return number + 1;
}

/** A root's member in each life of the id that has the stage, the present one last. */
export function rootNames(head: RequestHead, stage: number, root: string): string[] {
  const { name } = head.stages[stage - 1]!;
  const names: string[] = [];
  let life = 0;
  for (const stages of head.pastStages) {
    life += 1;
    let number = 0;
    for (const past of stages) {
      number += 1;
      if (past === name) names.push(rootName(life, number, root));
    }
  }
  names.push(rootName(life + 1, stage, root));
  return names;
}

const lifeOf = (head: RequestHead): number => head.pastStages.length + 1;

const rootName = (life: number, stage: number, root: string): string =>
  `t:${formatInteger(life)}:${formatInteger(stage)}:${root}`;

/**
 * Registers roots that are not registered yet; returns how many those were, or why none was. A root whose mark came first is
 * done at once: its counts are added by this step, and so are the roots that it hands on to.
 */
export function addRoots(store: Store, head: RequestHead, added: readonly StageRoots[]): number | RequestRefusal {
  const waiting = added.slice();
  let count = 0;
  for (let i = 0; i < waiting.length; i++) {
    const { stage, roots } = waiting[i]!;
    const number = stageNumber(head, stage);
    if (number === 0) return "stages";
    const names = roots.map((root) => rootName(lifeOf(head), number, root));
    store.load(names);
    for (const name of names) {
      const mark = store.get(name);
      if (mark === undefined) {
        store.set(name, "");
        head.open += 1;
      } else if (mark.startsWith("~")) {
        store.set(name, `.${mark}`);
        const done = takeEarlyMark(store, head, name);
        if (!countIn(store, head, number, done)) return "counts";
        for (const next of done.next ?? []) waiting.push(next);
      } else continue;
      head.roots += 1;
      if (head.roots > MAX_ROOTS) return "roots";
      count += 1;
    }
  }
  return count;
}

/** What a mark brings: counts for its root's stage, and roots that take the work on. */
export interface Done {
  processed: number;
  /** The root failed: counted in the very step that closes it. */
  error?: string;
  /** Registered in the very step that closes the root. */
  next?: StageRoots[];
}

/** Keeps the mark of a root that is not registered, with what it brings. */
export function keepEarlyMark(
  store: Store,
  head: RequestHead,
  { name, op, done }: { name: string; op: string; done: Done },
): RequestRefusal | undefined {
  head.early += weightOf(done);
  if (head.early > MAX_EARLY_MARKS) return "early";
  store.set(name, `~${op}`);
  store.set(bodyName(name), encode(done));
  return undefined;
}

function takeEarlyMark(store: Store, head: RequestHead, name: string): Done {
  const done = decode<Done>(store.get(bodyName(name))!);
  store.remove(bodyName(name));
  head.early -= weightOf(done);
  return done;
}

/** An early mark takes as much room as it may add roots. */
function weightOf({ next = [] }: Done): number {
  let weight = 1;
  for (const { roots } of next) weight += roots.length;
  return weight;
}

const bodyName = (name: string): string => `y:${name}`;

/** Adds to a stage's counts; false when one would leave its range. */
export function countIn(
  store: Store,
  head: RequestHead,
  number: number,
  added: { processed?: number; requeued?: number; error?: string | undefined },
): boolean {
  const stage = head.stages[number - 1]!;
  stage.processed += added.processed ?? 0;
  stage.requeueCount += added.requeued ?? 0;
  if (added.error !== undefined) {
    stage.errorCount += 1;
    if (head.kept < MAX_ERRORS) {
      head.kept += 1;
      store.set(errorName(head.kept), encode({ stage: stage.name, message: added.error }));
    }
  }
  return stage.processed <= MAX_COUNT && stage.requeueCount <= MAX_COUNT;
}

const errorName = (n: number): string => `e:${formatInteger(n)}`;

export function viewOf(store: Store, head: RequestHead): RequestView {
  const names: string[] = [];
  for (let n = 1; n <= head.kept; n++) names.push(errorName(n));
  store.load(names);
  const errors: { stage: string; message: string }[] = [];
  for (const name of names) {
    const text = store.get(name);
    if (text !== undefined) errors.push(decode<{ stage: string; message: string }>(text));
  }
  return { complete: isComplete(head), version: head.version, open: head.open, stages: head.stages, errors };
}
