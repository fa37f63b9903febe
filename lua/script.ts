import { openDraft } from "../src/draft";
import { decode, encode, formatInteger } from "../src/platform";
import type { Changes, Rows, Store, Transition } from "../src/store";

/**
 * One transition on one Redis hash: field `h` is the head, every member's field has a colon in its name.
 *
 * KEYS[1] the record, KEYS[2] the due queue of its shard
 * ARGV[1] the name of the step, ARGV[2] its input (JSON), ARGV[3] the record's name in the due queue and in messages
 * ARGV[4] the channel of its messages, ARGV[5] milliseconds added to the clock, for tests; "0"
 * Returns one mark and the output (JSON): `!` when this step made the record due, `+` when it was due before, else `=`.
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

function commit(changes: Changes, key: string, due: string, member: string): void {
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
  if (changes.wakeChanged) {
    if (changes.wakeAtMs !== undefined) redis.call("ZADD", due, formatInteger(changes.wakeAtMs), member);
    else redis.call("ZREM", due, member);
  }
}

/** A message for those who wait: the record's name, and the output of `wait` if that is what they wait for. */
function newsOf(store: Store, member: string, wait?: Wait): string {
  const output = wait?.(store, {});
  const text = output?.ready === true ? encode(output) : "";
  return encode(text !== "" && text.length <= MAX_NEWS ? [member, text] : [member]);
}

/** `wait`: the machine's step of that name, if it has one. */
export function run(transition: Transition<never, object>, wait?: Wait): string {
  const [key, due] = KEYS as [string, string];
  const [step, input, member, channel, skewMs] = ARGV as [string, string, string, string, string];
  const time = redis.call("TIME");
  const nowMs = tonumber(time[0]) * 1000 + Math.floor(tonumber(time[1]) / 1000) + tonumber(skewMs);
  const rows: Rows = {
    readHead: () => {
      const head = redis.call("HGET", key, "h");
      return head === false ? undefined : head;
    },
    read: (names) => readMany(key, names),
  };
  const draft = openDraft(rows, nowMs);
  const output = transition(draft.store, decode<never>(input));
  const changes = draft.changes();
  if (changes.dirty) commit(changes, key, due, member);
  if (changes.notified) redis.call("PUBLISH", channel, newsOf(draft.store, member, wait));
  // A record that is gone leaves its line in the queue to whoever is sent there by it.
  if (step === "woken" && changes.wakeAtMs === undefined && !changes.wakeChanged) redis.call("ZREM", due, member);
  const isDue = changes.wakeAtMs !== undefined && changes.wakeAtMs <= nowMs;
  const mark = !isDue ? "=" : changes.wakeChanged ? "!" : "+";
  return `${mark}${encode(output)}`;
}
