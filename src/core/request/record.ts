import { decode, encode, formatInteger } from "../host.js";
import { nextNumber, numbersUntilMs } from "../numbers.js";
import { emptyRing, type OpRing } from "../recent-operations.js";
import type { Store } from "../store.js";

/**
 * The head of a request's record. A mark is membership in a set, like an ack.
 *
 * The member `t:LIFE:STAGE:ROOT` is "" while a registered root is open, and `.OP` once that call marked it. It is `~OP`
 * when the mark came before the registration of the root, and `.~OP` once both came. `y:t:LIFE:STAGE:ROOT` holds the
 * counts and next roots of such an early mark until the root is registered. Other members: `e:N` errors, and the ring
 * of recent operations.
 *
 * An id may be used again as soon as it was cleaned up. Each use is an incarnation (`LIFE`, counted from 1). For a
 * minute the record still knows the last ones: a late copy of their calls changes nothing in the next one.
 */
export interface RequestHead {
  /** When this incarnation began. */
  beganAtMs: number;
  /**
   * The stages of earlier incarnations, in order. A mark's name holds the position of its incarnation and of its stage.
   * The current incarnation comes after these.
   */
  pastStages: string[][];
  /** `registeredBy`: the calls that registered the last incarnations. `cleanedBy`: the calls that cleaned them up. */
  registeredBy: string[];
  cleanedBy: string[];
  /** Grows with every change. Starts at the server's time, so that it never decreases. */
  version: number;
  /** `roots`: how many roots are registered. `open`: how many of them are not marked. */
  roots: number;
  open: number;
  /** How many early marks are kept, plus the roots that they hand on to. */
  early: number;
  /** The request takes no new roots, except those that a registered root hands on to. */
  sealed: boolean;
  /** The calls that registered this incarnation and have not abandoned it: at most 16, then one name that no call has. */
  callers: string[];
  /** Its last caller failed. The end stays readable; the next registration starts a new incarnation. */
  abandoned?: boolean;
  /** The request was cleaned up. For a minute, waiters still read how it ended; all other calls find nothing. */
  cleaned?: boolean;
  stages: StageCounts[];
  /** How many errors are kept as text. */
  kept: number;
  /** The recent operations that belong to no root. */
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

/** The limit that was reached. Nothing was written. */
export type RequestRefusal = "roots" | "early" | "stages" | "counts";

/** The limits of a request: roots, and further below stages and errors kept as text. */
export const MAX_ROOTS = 100_000;
/**
 * How many marks may come before their root's registration, plus the roots that they hand on to. Counted apart from
 * `MAX_ROOTS`.
 */
export const MAX_EARLY_MARKS = 10_000;
export const MAX_STAGES = 64;
export const MAX_ERRORS = 100;
/** How many incarnations of an id in a row are remembered. */
export const MAX_LIVES = 8;
/** How many callers of one incarnation are remembered. With more callers it cannot be abandoned. */
export const MAX_CALLERS = 16;
const MAX_COUNT = 1_000_000_000_000;

export function open(store: Store): RequestHead | undefined {
  const head = store.head<RequestHead>();
  return head === undefined || head.cleaned === true ? undefined : head;
}

export function isComplete(head: RequestHead): boolean {
  return head.open <= 0 && (head.roots > 0 || head.sealed);
}

/** Whether the request is complete and can take no more roots. */
export function isFinal(head: RequestHead): boolean {
  return head.sealed && isComplete(head);
}

/**
 * Starts a new incarnation of the id. Keeps the marks of at most `MAX_LIVES` incarnations in a row, to recognize late
 * copies.
 */
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

/** Stores a change. Each write extends the TTL of a pending request, at most once a quarter of the TTL. */
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

/** Returns the stage's position in the head, from 1. Adds the stage when it is new; returns 0 beyond `MAX_STAGES`. */
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

/** Returns the root's member in each incarnation that has the stage, the current one last. */
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
 * Registers roots that are not registered yet. Returns how many, or the limit that was reached. A root with an early
 * mark is done at once: this adds its counts and registers the roots that it hands on to.
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

/** The content of a mark: counts for the root's stage, and next roots that continue the work. */
export interface Done {
  processed: number;
  /** The root failed. Counted in the same step that closes the root. */
  error?: string;
  /** Registered in the same step that closes the root. */
  next?: StageRoots[];
}

/** Keeps the mark of a root that is not registered yet, with its content. */
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

/** How many places an early mark takes: one, plus one for each root that it hands on to. */
function weightOf({ next = [] }: Done): number {
  let weight = 1;
  for (const { roots } of next) weight += roots.length;
  return weight;
}

const bodyName = (name: string): string => `y:${name}`;

/** Adds to a stage's counts. Returns false when a count exceeds its limit. */
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
