import { decode, encode, formatInteger } from "../src/core/host";
import type { Changes, Rows, Store, Transition } from "../src/core/store";
import { openDraft } from "../src/core/transaction";

/**
 * One transition on one Redis hash: field `h` is the head, every member's field has a colon in its name.
 *
 * KEYS[1] the record, KEYS[2] the due queue of its shard
 * ARGV[1] the name of the step, ARGV[2] its input (JSON), ARGV[3] the record's name in the due queue and in messages
 * ARGV[4] the channel of its messages, ARGV[5] milliseconds added to the clock, for tests; "0"
 * Returns one mark and the output (JSON): `!` when this step made the record due, `+` when it was due before, else `=`.
 * When waiters are notified, a line break follows, and what their message brings: the caller's own waiters need no message.
 */

/** @noSelf */
declare namespace redis {
  function call(command: "TIME"): [string, string];
  function call(command: "HGET", key: string, field: string): string | false;
  function call(command: "HMGET", key: string, ...fields: string[]): (string | false)[];
  function call(command: string, ...args: (string | number)[]): unknown;
}
declare const KEYS: string[];
declare const ARGV: string[];
declare function tonumber(this: void, text: string): number;

/** What a machine's watchers look at. */
type Wait = Transition<object, { readonly ready: boolean }>;
/** Which members a step will probably read: they come with the head, by one command. */
type Expected = (input: never) => string[];

/** A longer output is not sent to all who listen: those whom it concerns come and read it. */
const MAX_NEWS = 2_048;

/** A Lua call takes some 8,000 values at most. */
const CHUNK = 2_000;

function readMany(key: string, names: readonly string[]): (string | false)[] {
  if (names.length <= CHUNK) return redis.call("HMGET", key, ...names);
  const values: (string | false)[] = [];
  for (let from = 0; from < names.length; from += CHUNK) {
    for (const value of redis.call("HMGET", key, ...names.slice(from, from + CHUNK))) values.push(value);
  }
  return values;
}

/** What one run of a script works on. */
interface Place {
  readonly key: string;
  readonly due: string;
  readonly member: string;
  /** The server's own time. */
  readonly realMs: number;
}

/** By how much of its record's life a queue outlives it, so that its end is not put off at every write. */
const SPARE = 0.25;

/** Has the queue last as long as the record. It ends with its last line, also if that is never drained. */
function keepQueue({ due, realMs }: Place, untilMs: number | undefined): void {
  if (untilMs === undefined) {
    redis.call("PERSIST", due);
    return;
  }
  const leftMs = redis.call("PTTL", due) as number;
  // A queue of other lines without an end was begun by an earlier version: it is not known how long these are needed.
  if (leftMs >= 0 ? realMs + leftMs >= untilMs : redis.call("ZCARD", due) !== 1) return;
  redis.call("PEXPIREAT", due, formatInteger(untilMs + SPARE * (untilMs - realMs)));
}

function commit(changes: Changes, place: Place): void {
  const { key, due, member } = place;
  if (changes.cleared) redis.call("DEL", key);
  let fields: string[] = [];
  let removed: string[] = [];
  if (changes.head !== undefined) fields = ["h", changes.head];
  for (let i = 0; i < changes.names.length; i++) {
    const name = changes.names[i]!;
    const value = changes.values[i]!;
    if (value === false) {
      removed.push(name);
      if (removed.length >= CHUNK) {
        redis.call("HDEL", key, ...removed);
        removed = [];
      }
    } else {
      fields.push(name);
      fields.push(value);
      if (fields.length >= CHUNK) {
        redis.call("HSET", key, ...fields);
        fields = [];
      }
    }
  }
  if (fields.length > 0) redis.call("HSET", key, ...fields);
  if (removed.length > 0) redis.call("HDEL", key, ...removed);
  if (changes.untilChanged) {
    if (changes.untilMs !== undefined) redis.call("PEXPIREAT", key, formatInteger(changes.untilMs));
    else if (!changes.cleared) redis.call("PERSIST", key);
  }
  if (changes.wakeAtMs !== undefined) {
    // At every write: a line that was evicted or deleted is there again.
    const added = redis.call("ZADD", due, formatInteger(changes.wakeAtMs), member);
    if (added === 1 || changes.untilChanged) keepQueue(place, changes.untilMs);
  } else if (changes.wakeChanged) redis.call("ZREM", due, member);
}

/** The output of `wait`, if it is what waiters wait for, and short. */
function newsOf(store: Store, wait?: Wait): string {
  const output = wait?.(store, {});
  const text = output?.ready === true ? encode(output) : "";
  return text.length <= MAX_NEWS ? text : "";
}

/** The record, read in one go with the members that are expected. */
function rowsOf(key: string, expected: readonly string[]): Rows {
  const names = ["h", ...expected];
  const values = readMany(key, names);
  const known: Record<string, string | false | undefined> = {};
  for (let i = 0; i < names.length; i++) known[names[i]!] = values[i]!;
  return {
    readHead: () => {
      const head = values[0]!;
      return head === false ? undefined : head;
    },
    read: (wanted) => {
      const missing: string[] = [];
      for (const name of wanted) {
        if (known[name] === undefined) missing.push(name);
      }
      if (missing.length === wanted.length) return readMany(key, wanted);
      const read = missing.length > 0 ? readMany(key, missing) : [];
      for (let i = 0; i < missing.length; i++) known[missing[i]!] = read[i]!;
      const found: (string | false)[] = [];
      for (const name of wanted) found.push(known[name]!);
      return found;
    },
  };
}

/** `wait`: the machine's step of that name, if it has one. `expected`: what the step will probably read. */
export function run(transition: Transition<never, object>, wait?: Wait, expected?: Expected): string {
  const [key, due] = KEYS as [string, string];
  const [step, text, member, channel, skewMs] = ARGV as [string, string, string, string, string];
  const time = redis.call("TIME");
  const realMs = tonumber(time[0]) * 1000 + Math.floor(tonumber(time[1]) / 1000);
  const nowMs = realMs + tonumber(skewMs);
  const input = decode<never>(text);
  const draft = openDraft(rowsOf(key, expected?.(input) ?? []), nowMs);
  const output = transition(draft.store, input);
  const changes = draft.changes();
  if (changes.dirty) commit(changes, { key, due, member, realMs });
  let told = "";
  if (changes.notified) {
    const news = newsOf(draft.store, wait);
    redis.call("PUBLISH", channel, encode(news === "" ? [member] : [member, news]));
    told = `\n${news}`;
  }
  // A record that is gone leaves its line in the queue to whoever is sent there by it.
  if (step === "woken" && changes.wakeAtMs === undefined && !changes.wakeChanged) redis.call("ZREM", due, member);
  const isDue = changes.wakeAtMs !== undefined && changes.wakeAtMs <= nowMs;
  const mark = !isDue ? "=" : changes.wakeChanged ? "!" : "+";
  return `${mark}${encode(output)}${told}`;
}
