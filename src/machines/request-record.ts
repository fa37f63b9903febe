import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";
import { emptyRing, type OpRing } from "./op-ring.js";

/**
 * What is stored of a request. A mark is membership in a set, like an ack: the member `t:LIFE:STAGE:ROOT` holds "" while a
 * registered root is open, `.OP` once it was marked by that call, `~OP` when it was marked before its registration, and
 * `.~OP` when that came too. Other members: `e:N` errors, and those of the ring of operations.
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
  /** How many roots are registered, how many of them are open, and how many were marked before their registration. */
  roots: number;
  open: number;
  early: number;
  /** No root is waited for but those that are there, and those that they hand on to. */
  sealed: boolean;
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
export type RequestRefusal = "roots" | "stages" | "counts";

/** How many roots a request may have, registered or marked; how many stages; how many errors are kept word by word. */
export const MAX_ROOTS = 100_000;
export const MAX_STAGES = 64;
export const MAX_ERRORS = 100;
/** How many lives of an id in a row are known. */
export const MAX_LIVES = 8;
const MAX_COUNT = 1_000_000_000_000;

export function open(store: Store): RequestHead | undefined {
  const head = store.head<RequestHead>();
  return head === undefined || head.cleaned === true ? undefined : head;
}

export function isComplete(head: RequestHead): boolean {
  return head.open <= 0 && (head.roots > 0 || head.sealed);
}

/** Complete for good: nothing can be registered any more. */
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
    stages: [],
    kept: 0,
    ring: known?.ring ?? emptyRing(),
    ttlMs,
    refreshedAtMs: store.nowMs,
  });
}

/** Stores a change. A pending request lives on while it is written to; its TTL is put off every quarter of it at most. */
export function save(store: Store, head: RequestHead): void {
  head.version = store.nowMs > head.version ? store.nowMs : head.version + 1;
  if (isComplete(head)) {
    head.refreshedAtMs = store.nowMs;
    store.notify();
  }
  keep(store, head);
  store.put(head);
}

export function keep(store: Store, head: RequestHead): void {
  if (store.nowMs - head.refreshedAtMs >= head.ttlMs / 4) head.refreshedAtMs = store.nowMs;
  store.keepUntil(head.refreshedAtMs + head.ttlMs);
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

/** Registers what is not registered yet; returns how many roots that were, or why none was. */
export function addRoots(store: Store, head: RequestHead, added: StageRoots): number | RequestRefusal {
  const stage = stageNumber(head, added.stage);
  if (stage === 0) return "stages";
  const names = added.roots.map((root) => rootName(lifeOf(head), stage, root));
  store.load(names);
  let count = 0;
  for (const name of names) {
    const mark = store.get(name);
    if (mark === undefined) {
      store.set(name, "");
      head.open += 1;
    } else if (mark.startsWith("~")) {
      store.set(name, `.${mark}`);
      head.early -= 1;
    } else continue;
    head.roots += 1;
    count += 1;
  }
  return head.roots + head.early > MAX_ROOTS ? "roots" : count;
}

/** Adds to a stage's counts; false when one would leave its range. */
export function count(
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
