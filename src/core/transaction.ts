import { decode, encode, refuse } from "./host.js";
import type { Changes, IndexLine, RecordEvent, Rows, Store } from "./store.js";

/** The version of the storage layout. A record with a later version is refused, never misread. */
const SCHEMA = 1;

/** How a head is stored: the fields, and what the store manages: two instants, and the line in the index. */
interface Envelope {
  schema: number;
  until?: number;
  wake?: number;
  line?: IndexLine;
  fields: object;
}

/**
 * A store over one record, and the writes that were made to it so far.
 *
 * @noSelf
 */
export interface Draft {
  readonly store: Store;
  changes(): Changes;
}

/**
 * Opens one record for one transition. Reads see the record and the writes of this transition. The backend writes
 * nothing before it commits `changes()`. An expired record counts as absent, even if the backend has not removed it
 * yet.
 */
export function openDraft(rows: Rows, nowMs: number): Draft {
  const text = rows.readHead();
  const stored = text === undefined ? undefined : decode<Envelope>(text);
  if (stored !== undefined && stored.schema > SCHEMA) refuse("newer_schema");
  const expired = stored !== undefined && stored.until !== undefined && stored.until <= nowMs;

  let fields = expired || stored === undefined ? undefined : stored.fields;
  let until = expired || stored === undefined ? undefined : stored.until;
  let wake = expired || stored === undefined ? undefined : stored.wake;
  let line = expired || stored === undefined ? undefined : stored.line;
  const before: Kept = { until, wake, line };
  let headChanged = false;
  let untilChanged = expired;
  let wakeChanged = expired;
  let lineChanged = expired && stored.line !== undefined;
  let cleared = expired;
  let notified = false;
  let notifiesAll = false;
  const topics: string[] = [];
  const events: RecordEvent[] = [];
  let discarded = false;
  /** The members that this transition has read or written. */
  let known: Record<string, string | false | undefined> = {};
  let names: string[] = [];
  let written: Record<string, boolean | undefined> = {};

  const load = (wanted: readonly string[]): void => {
    const missing: string[] = [];
    for (const name of wanted) {
      if (known[name] === undefined) missing.push(name);
    }
    if (missing.length === 0) return;
    if (cleared || stored === undefined) {
      for (const name of missing) known[name] = false;
      return;
    }
    const values = rows.read(missing);
    for (let i = 0; i < missing.length; i++) known[missing[i]!] = values[i]!;
  };

  const write = (name: string, value: string | false): void => {
    known[name] = value;
    if (written[name] === undefined) {
      written[name] = true;
      names.push(name);
    }
  };

  const store: Store = {
    nowMs,
    head: <Head extends object>() => fields as Head | undefined,
    put: (head) => {
      fields = head;
      headChanged = true;
    },
    get: (name) => {
      if (known[name] === undefined) load([name]);
      const value = known[name];
      return value === undefined || value === false ? undefined : value;
    },
    load,
    set: (name, value) => write(name, value),
    remove: (name) => write(name, false),
    clear: () => {
      fields = undefined;
      until = undefined;
      wake = undefined;
      lineChanged = lineChanged || line !== undefined;
      line = undefined;
      known = {};
      written = {};
      names = [];
      headChanged = false;
      // Without a stored record there is nothing to remove. On Redis it would be a write before the one that needs memory,
      // and after its first write a script may grow beyond maxmemory.
      cleared = stored !== undefined;
      untilChanged = cleared;
      wakeChanged = cleared;
    },
    keepUntil: (atMs, slackMs = 0) => {
      if (until === atMs) return;
      if (atMs !== undefined && until !== undefined && until > atMs && until <= atMs + slackMs) return;
      until = atMs === undefined ? undefined : atMs + slackMs;
      untilChanged = true;
    },
    wakeAt: (atMs, maybeSooner) => {
      if (wake === atMs) return;
      if (maybeSooner === true && atMs !== undefined && wake !== undefined && wake < atMs && wake > nowMs) return;
      wake = atMs;
      wakeChanged = true;
    },
    list: (next) => {
      if (next?.list === line?.list && next?.atMs === line?.atMs) return;
      line = next;
      lineChanged = true;
    },
    notify: (topic) => {
      notified = true;
      if (topic === undefined) notifiesAll = true;
      else topics.push(topic);
    },
    tell: (event) => {
      events.push(event);
    },
    discard: () => {
      discarded = true;
    },
  };

  const changes = (): Changes => {
    if (discarded) return nothing(before);
    const values: (string | false)[] = [];
    for (const name of names) values.push(known[name] ?? false);
    const touched = headChanged || untilChanged || wakeChanged || lineChanged;
    return {
      dirty: touched || cleared || names.length > 0,
      cleared,
      head: touched && fields !== undefined ? encodeEnvelope(fields, { until, wake, line }) : undefined,
      names,
      values,
      untilMs: until,
      untilChanged,
      wakeAtMs: wake,
      wakeChanged,
      line,
      lineChanged,
      notified,
      topics: notifiesAll ? [] : topics,
      events,
    };
  };

  return { store, changes };
}

/** The part of a record that the store manages. */
interface Kept {
  until: number | undefined;
  wake: number | undefined;
  line: IndexLine | undefined;
}

/** No changes: the record stays, and is due when it was due before. */
function nothing({ until, wake, line }: Kept): Changes {
  return {
    dirty: false,
    cleared: false,
    head: undefined,
    names: [],
    values: [],
    untilMs: until,
    untilChanged: false,
    wakeAtMs: wake,
    wakeChanged: false,
    line,
    lineChanged: false,
    notified: false,
    topics: [],
    events: [],
  };
}

function encodeEnvelope(fields: object, { until, wake, line }: Kept): string {
  const envelope: Envelope = { schema: SCHEMA, fields };
  if (until !== undefined) envelope.until = until;
  if (wake !== undefined) envelope.wake = wake;
  if (line !== undefined) envelope.line = line;
  return encode(envelope);
}
