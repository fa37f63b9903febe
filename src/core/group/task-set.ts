import { byteLength, formatInteger } from "../host.js";
import { emptyRing, type OpRing, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import type { GroupHead, TaskRef } from "./record.js";

/**
 * The mark of a task says whether and how it has settled: "" while it is open, else a letter, the epoch in which the mark
 * was made, the number of its result, error or early ack, and the operation that made it: `s0.17.OP`.
 *
 * A mark of an earlier epoch is read anew: a failure is open again after a restart that keeps successes, and nothing
 * counts that was made before the epoch `since`. Its operation stays known, so that a late copy of the call that made
 * it changes nothing.
 */
export interface Mark {
  state: MarkState;
  /** The number of the result, of the error or of the early ack; 0 for none. */
  number: number;
  /** The operation that made the mark; "" for none. */
  op: string;
  /** An early ack that failed. */
  isFailure?: boolean;
  /** The mark was made by an early ack, whether it still counts or not. */
  isEarly?: boolean;
}

/** `absent`: the task is not announced. `early`: acked before it was announced. */
export type MarkState = "absent" | "open" | "succeeded" | "failed" | "early";

/** The letters of marks. A task that was opened again keeps the operation of the attempt that failed. */
const LETTERS = { succeeded: "s", failed: "f", early: "y", open: "o" } as const;
/** An early ack that failed: like a failure, it does not count in a later epoch. */
const EARLY_FAILURE = "z";

/** The answer that is remembered for the operation of a mark. */
export const OF_A_MARK = "-";

const ABSENT: Mark = { state: "absent", number: 0, op: "" };

/** The member that holds the mark of a task with a name. */
export function markName({ stage, id }: TaskRef): string {
  return stage === undefined ? `t:${id}` : `${markPrefix(stage)}${id}`;
}

/** Returns the prefix of the names of a stage's marks; "" for no stage. The length keeps stage and id apart. */
export const markPrefix = (stage: string): string =>
  stage === "" ? "t:" : `u:${formatInteger(byteLength(stage))}:${stage}:`;

export function readMark(store: Store, head: GroupHead | undefined, name: string): Mark {
  const text = store.get(name);
  // Only the first use of a record leaves the marks of open tasks empty.
  const isFirstUse = (head?.since ?? 0) === 0;
  if (text === undefined || text === "") {
    // Any id counts where tasks are only counted.
    const isOpen = head?.kind === "counted" || (text === "" && isFirstUse);
    return isOpen ? { state: "open", number: 0, op: "" } : ABSENT;
  }
  const dot = text.indexOf(".");
  const second = text.indexOf(".", dot + 1);
  const letter = text.substring(0, 1);
  const epoch = Number(text.substring(1, dot));
  const mark: Mark = {
    state: "absent",
    number: Number(text.substring(dot + 1, second)),
    op: text.substring(second + 1),
  };
  if (letter === LETTERS.early || letter === EARLY_FAILURE) mark.isEarly = true;
  if (head !== undefined && epoch < head.since) mark.state = head.kind === "counted" ? "open" : "absent";
  else if (letter === LETTERS.succeeded) mark.state = "succeeded";
  else if (letter === LETTERS.early) mark.state = "early";
  else if (letter === EARLY_FAILURE) mark.state = head === undefined || epoch === head.epoch ? "early" : "absent";
  else if (letter === LETTERS.failed && (head === undefined || epoch === head.epoch)) mark.state = "failed";
  else mark.state = "open";
  return mark;
}

/** Writes a mark. The operation of a mark that is overwritten stays known for a minute. */
export function writeMark(store: Store, head: GroupHead, name: string, mark: Mark): void {
  const before = store.get(name);
  if (before !== undefined && before !== "" && mark.state !== "open") {
    const op = before.substring(before.indexOf(".", before.indexOf(".") + 1) + 1);
    if (op !== "" && op !== mark.op) rememberOp(store, operationsOf(head), op, OF_A_MARK);
  }
  store.set(name, markText(head.epoch, mark));
}

/** The mark of an open task. `op`: the operation of an earlier attempt or use; "" for none. */
export function openMarkText(epoch: number, op: string): string {
  return op === "" && epoch === 0 ? "" : `${LETTERS.open}${formatInteger(epoch)}.0.${op}`;
}

export function markText(epoch: number, mark: Mark): string {
  if (mark.state === "absent") return "";
  if (mark.state === "open") return openMarkText(epoch, mark.op);
  const letter = mark.isFailure === true ? EARLY_FAILURE : LETTERS[mark.state];
  return `${letter}${formatInteger(epoch)}.${formatInteger(mark.number)}.${mark.op}`;
}

export function operationsOf(head: GroupHead): OpRing {
  head.operations ??= emptyRing();
  return head.operations;
}
