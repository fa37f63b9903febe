import { decode } from "../host.js";
import { type DeliveryView, describe, describedMembers } from "../outbox/deliveries.js";
import type { Store } from "../store.js";
import {
  type CompletionReason,
  type GroupHead,
  type GroupState,
  isSealed,
  leftOf,
  numbered,
  readRegistration,
} from "./record.js";
import { type StageView, viewStages } from "./stages.js";

/** A group as a step saw it. */
export interface GroupView {
  generation: number;
  /** Counts changes: with the generation, the version of this view. */
  changes: number;
  state: GroupState;
  request?: boolean;
  /** It completes under a policy. */
  hasPolicy?: boolean;
  sealed: boolean;
  total: number;
  succeeded: number;
  failed: number;
  remaining: number;
  /** The first 20 of them. `errorCount` is the true count of the epoch. */
  errors: ErrorLine[];
  errorCount: number;
  stages?: StageView[];
  /** JSON text. */
  metadata?: string;
  /** The task that its end settles, as JSON text. */
  parent?: string;
  reason?: string;
  completionReason?: CompletionReason;
  registeredAtMs: number;
  deadlineAtMs?: number;
  lastAckAtMs?: number;
  endedAtMs?: number;
  delivery: DeliveryView;
}

/** A failure, stored as `e:N`. Without a task: an error that settled none. */
export interface ErrorLine {
  taskId?: string;
  stage?: string;
  message: string;
}

/** As it is stored: `brief` is the message cut to 256 bytes, where it is longer. */
export interface StoredError extends ErrorLine {
  brief?: string;
}

/** How many errors a view shows. */
const SHOWN_ERRORS = 20;
/** Errors of tasks that were opened again are gone: so many are looked through for those that are shown. */
const READ_ERRORS = 100;

export function viewOf(store: Store, head: GroupHead): GroupView {
  const parts = ["meta", ...describedMembers(head.generation)];
  // Beside targets of any size: other groups are spared the read.
  if (head.hasParent === true) parts.push("reg");
  store.load(parts);
  const from = head.errorsFrom ?? 0;
  const view: GroupView = {
    generation: head.generation,
    changes: head.changes,
    state: head.state,
    sealed: isSealed(head),
    total: head.total,
    succeeded: head.succeeded,
    failed: head.failed,
    remaining: leftOf(head),
    errors: readErrors(store, from, head.errors),
    errorCount: head.errors - from,
    registeredAtMs: head.registeredAtMs,
    delivery: describe(store, head, head.generation),
  };
  if (head.request === true) view.request = true;
  if (head.policy !== undefined) view.hasPolicy = true;
  if (head.staged === true) view.stages = viewStages(store);
  if (head.reason !== undefined) view.reason = head.reason;
  if (head.completionReason !== undefined) view.completionReason = head.completionReason;
  if (head.deadlineAtMs !== undefined) view.deadlineAtMs = head.deadlineAtMs;
  if (head.lastAckAtMs !== undefined) view.lastAckAtMs = head.lastAckAtMs;
  if (head.endedAtMs !== undefined) view.endedAtMs = head.endedAtMs;
  const metadata = store.get("meta");
  if (metadata !== undefined) view.metadata = metadata;
  const parent = head.hasParent === true ? readRegistration(store).parent : undefined;
  if (parent !== undefined) view.parent = parent.body;
  return view;
}

function readErrors(store: Store, from: number, last: number): ErrorLine[] {
  const names: string[] = [];
  for (let n = from + 1; n <= last && n <= from + READ_ERRORS; n++) names.push(numbered("e", n));
  store.load(names);
  const errors: ErrorLine[] = [];
  for (const name of names) {
    const text = store.get(name);
    if (text === undefined || errors.length >= SHOWN_ERRORS) continue;
    const stored = decode<StoredError>(text);
    const line: ErrorLine = { message: stored.brief ?? stored.message };
    if (stored.taskId !== undefined) line.taskId = stored.taskId;
    if (stored.stage !== undefined) line.stage = stored.stage;
    errors.push(line);
  }
  return errors;
}
