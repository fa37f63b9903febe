import { CoordinationError } from "../../errors.js";
import type { Changes, Rows } from "../../store.js";

/** The layout of a record's text. One of a later version is refused, never misread. */
const LAYOUT = 1;

/** A record as one text holds it. */
export interface RecordContent {
  /** The write that made it: whoever lost the reply finds here that it landed. */
  readonly stamp: string;
  readonly head: string;
  readonly members: ReadonlyMap<string, string>;
}

/** Members are pairs, so that no name can mean something to an object. */
interface Layout {
  readonly layout: number;
  readonly stamp: string;
  readonly head: string;
  readonly members: readonly (readonly [name: string, value: string])[];
}

export function writeContent({ stamp, head, members }: RecordContent): string {
  const layout: Layout = { layout: LAYOUT, stamp, head, members: [...members] };
  return JSON.stringify(layout);
}

/** @throws {CoordinationError} `backend_rejected` for a text that `writeContent` did not make. */
export function readContent(data: string): RecordContent {
  const { layout, stamp, head, members } = Object(parsed(data)) as Partial<Layout>;
  if (typeof layout === "number" && layout > LAYOUT) throw rejected("the record was written by a later version");
  const isOurs = layout === LAYOUT && typeof stamp === "string" && typeof head === "string" && Array.isArray(members);
  if (!isOurs || !members.every(isPair)) throw rejected("load gave a data that compareAndSet was never given");
  return { stamp, head, members: new Map(members) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The engine's own error quotes the text.
    return undefined;
  }
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string";
}

function rejected(message: string): CoordinationError {
  return new CoordinationError("backend_rejected", message);
}

/** What a draft reads from. */
export function rowsOf(content: RecordContent | undefined): Rows {
  return {
    readHead: () => content?.head,
    read: (names) => names.map((name) => content?.members.get(name) ?? false),
  };
}

/** The record after the changes; `undefined` when none is left. */
export function changed(before: RecordContent | undefined, changes: Changes, stamp: string): RecordContent | undefined {
  const kept = changes.cleared ? undefined : before;
  const head = changes.head ?? kept?.head;
  if (head === undefined) return undefined;
  const members = new Map(kept?.members);
  for (const [i, name] of changes.names.entries()) {
    const value = changes.values[i];
    if (typeof value === "string") members.set(name, value);
    else members.delete(name);
  }
  return { stamp, head, members };
}
