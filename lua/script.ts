import { decode, encode, formatInteger } from "../src/core/host";
import type { Changes, Rows, Store, Transition } from "../src/core/store";
import { openDraft } from "../src/core/transaction";

/**
 * Runs one transition on one Redis hash. Field `h` is the head. The field name of every member has a colon.
 *
 * KEYS[1] the record, KEYS[2] the due queue of its shard, KEYS[3] its machine's index of the shard, if it has one
 * ARGV[1] the name of the step, ARGV[2] its input (JSON), ARGV[3] the record's name in the due queue and in notifications
 * ARGV[4] the channel of its notifications, ARGV[5] milliseconds added to the clock, for tests; "0"
 *
 * Returns one mark and the output (JSON). The mark is `!` when this step made the record due, `+` when it was due
 * before, else `=`. A tab and the events (JSON) follow, where there are any. When waiters are notified, a line break
 * and the notification's text follow: the caller's own waiters need no notification.
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

/** The transition that a machine's waiters watch. */
type Wait = Transition<object, { readonly ready: boolean }>;
/** Returns the members that a step probably reads. They are read with the head, in one command. */
type Expected = (input: never) => string[];

/** A longer output is not sent to all subscribers. Those that need it read it. */
const MAX_NEWS = 2_048;

/** How many values one Lua call takes. The limit is about 8,000. */
const CHUNK = 2_000;

function readMany(key: string, names: readonly string[]): (string | false)[] {
  if (names.length <= CHUNK) return redis.call("HMGET", key, ...names);
  const values: (string | false)[] = [];
  for (let from = 0; from < names.length; from += CHUNK) {
    for (const value of redis.call("HMGET", key, ...names.slice(from, from + CHUNK))) values.push(value);
  }
  return values;
}

/** The keys and the clocks of one run of the script. */
interface Place {
  readonly key: string;
  readonly due: string;
  readonly index: string | undefined;
  readonly member: string;
  /** The time that decides. */
  readonly nowMs: number;
  /** The server's own time. */
  readonly realMs: number;
}

/** The fraction of its record's remaining life by which a queue outlives it. So not every write has to extend the queue. */
const SPARE = 0.25;

/** Keeps the queue at least as long as the record. The queue expires after its last record, even if it is never drained. */
function keepQueue({ due, realMs }: Place, untilMs: number | undefined): void {
  if (untilMs === undefined) {
    redis.call("PERSIST", due);
    return;
  }
  const leftMs = redis.call("PTTL", due) as number;
  // An earlier version wrote queues without an expiry. How long the other lines of such a queue are needed is unknown,
  // so it keeps no expiry.
  if (leftMs >= 0 ? realMs + leftMs >= untilMs : redis.call("ZCARD", due) !== 1) return;
  redis.call("PEXPIREAT", due, formatInteger(untilMs + SPARE * (untilMs - realMs)));
}

/**
 * The score of a line is the number of its list and its instant. So one write moves a record from one list to another. The
 * entry with `~` before its name, in the last list, holds the record's expiry.
 */
const LIST_SIZE = 1e14;
const EXPIRY_LIST = 50;
/** A write that adds a record to the index removes so many expired ones. */
const TRIMMED = 4;

const scoreOf = (list: number, atMs: number): string => formatInteger(list * LIST_SIZE + atMs);

/** Ends the index with its last record: the highest score is the latest expiry. */
function keepIndex(index: string): void {
  const last = redis.call("ZRANGE", index, -1, -1, "WITHSCORES") as string[];
  if (last.length === 0) return;
  redis.call("PEXPIREAT", index, formatInteger(tonumber(last[1]!) - EXPIRY_LIST * LIST_SIZE));
}

/** Moves the record's line in the index. A write that changes neither line nor expiry costs nothing. */
function writeLine(index: string, { line, lineChanged, untilMs, untilChanged }: Changes, place: Place): void {
  const { member, nowMs } = place;
  if (line === undefined) {
    if (lineChanged) {
      redis.call("ZREM", index, member, `~${member}`);
      keepIndex(index);
    }
    return;
  }
  if (!lineChanged && !untilChanged) return;
  const expiry = scoreOf(EXPIRY_LIST, untilMs ?? LIST_SIZE - 1);
  const added = redis.call("ZADD", index, scoreOf(line.list, line.atMs), member, expiry, `~${member}`);
  if (added !== 0) {
    const expired = redis.call(
      "ZRANGEBYSCORE",
      ...[index, scoreOf(EXPIRY_LIST, 0), scoreOf(EXPIRY_LIST, nowMs), "LIMIT", 0, TRIMMED],
    ) as string[];
    const gone: string[] = [];
    for (const name of expired) {
      gone.push(name);
      gone.push(name.slice(1));
    }
    if (gone.length > 0) redis.call("ZREM", index, ...gone);
  }
  if (added !== 0 || untilChanged) keepIndex(index);
}

function commit(changes: Changes, place: Place): void {
  const { key, due, index, member } = place;
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
    // At every write, which restores a line that was evicted or deleted.
    const added = redis.call("ZADD", due, formatInteger(changes.wakeAtMs), member);
    if (added === 1 || changes.untilChanged) keepQueue(place, changes.untilMs);
  } else if (changes.wakeChanged) redis.call("ZREM", due, member);
  if (index !== undefined) writeLine(index, changes, place);
}

/** Returns the output of `wait`, if it is ready and short; else "". */
function newsOf(store: Store, wait?: Wait): string {
  const output = wait?.(store, {});
  const text = output?.ready === true ? encode(output) : "";
  return text.length <= MAX_NEWS ? text : "";
}

/** Reads the record with the expected members in one command. */
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

/** `wait`: the machine's transition of that name, if it has one. `expected`: the members that the step probably reads. */
export function run(transition: Transition<never, object>, wait?: Wait, expected?: Expected): string {
  const [key, due, index] = KEYS as [string, string, string | undefined];
  const [step, text, member, channel, skewMs] = ARGV as [string, string, string, string, string];
  const time = redis.call("TIME");
  const realMs = tonumber(time[0]) * 1000 + Math.floor(tonumber(time[1]) / 1000);
  const nowMs = realMs + tonumber(skewMs);
  const input = decode<never>(text);
  const draft = openDraft(rowsOf(key, expected?.(input) ?? []), nowMs);
  const output = transition(draft.store, input);
  const changes = draft.changes();
  if (changes.dirty) commit(changes, { key, due, index, member, nowMs, realMs });
  let told = "";
  if (changes.notified) {
    // A list of topics is for these waiters. An output is an object.
    const news = changes.topics.length > 0 ? encode(changes.topics) : newsOf(draft.store, wait);
    redis.call("PUBLISH", channel, encode(news === "" ? [member] : [member, news]));
    told = `\n${news}`;
  }
  // A record that is gone leaves its line in the queue. The drain that takes the line removes it.
  if (step === "woken" && changes.wakeAtMs === undefined && !changes.wakeChanged) redis.call("ZREM", due, member);
  const isDue = changes.wakeAtMs !== undefined && changes.wakeAtMs <= nowMs;
  const mark = !isDue ? "=" : changes.wakeChanged ? "!" : "+";
  const events = changes.events.length > 0 ? `\t${encode(changes.events)}` : "";
  return `${mark}${encode(output)}${events}${told}`;
}
