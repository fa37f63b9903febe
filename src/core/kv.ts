import { formatInteger } from "./host.js";
import { readPage } from "./page.js";
import { emptyRing, KEPT_MS, type OpRing, recallOp, recentOps, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * Raw keys: a number, a set, a list, or a flag. Each key is one record. The first write fixes its kind.
 *
 * Members: `m:MEMBER` of a set, `i:N` of a list, and the ring of recent operations. The ring makes a call that arrives
 * twice count once. A deleted key and an emptied set keep their ring for as long as a client may resend a call. Without
 * the ring, a late copy of an earlier write would count again. A late copy of a delete would remove what was written
 * after it.
 */
interface KeyHead {
  kind: "number" | "set" | "list" | "flag";
  /** A number's decimal text. */
  value?: string;
  /** How many members or items. */
  count: number;
  /** The call that set the flag. */
  op?: string;
  /** The call that made the list's first write. It keeps pages of different lists apart. */
  life?: string;
  /** `expire` was called: later writes do not change the TTL. */
  pinned?: boolean;
  /** The key was deleted. Only its ring of recent operations is left. */
  gone?: boolean;
  ring: OpRing;
}

export interface Write {
  op: string;
  /** How long a key lives after its last write, in milliseconds, unless `expire` was called. 0: it never expires. */
  ttlMs: number;
}

/** A write's result, or why it was refused. */
export interface KeyOutcome {
  /** Decimal text, because Lua's JSON keeps 14 digits only. */
  result?: string;
  refused?: "wrong_kind" | "out_of_range" | "full";
}

/** A page of a list. */
export interface ListPage {
  values?: string[];
  /** Where the next page begins; absent on the last page. */
  next?: number;
  /** The list that the page was read from. */
  life?: string;
  refused?: "wrong_kind";
}

const MAX_INTEGER = 9007199254740991;
export const MAX_MEMBERS = 100_000;
export const MAX_ITEMS = 10_000;

/** Returns the key; `undefined` when it does not exist. */
function find(store: Store): KeyHead | undefined {
  const head = store.head<KeyHead>();
  return head === undefined || head.gone === true ? undefined : head;
}

/** Returns the key, or a new one. A new key takes over the ring of a deleted one. */
function open(store: Store, kind: KeyHead["kind"]): KeyHead {
  const head = store.head<KeyHead>();
  if (head === undefined) return { kind, count: 0, ring: emptyRing() };
  return head.gone === true ? { kind, count: 0, ring: head.ring } : head;
}

function save(store: Store, head: KeyHead, input: Write, result: string): KeyOutcome {
  rememberOp(store, head.ring, input.op, result);
  store.put(head);
  if (head.pinned !== true) store.keepUntil(input.ttlMs > 0 ? store.nowMs + input.ttlMs : undefined);
  return { result };
}

/** Removes the key. Keeps the answers of its recent operations for as long as a client may resend them. */
function forget(store: Store, head: KeyHead, op: string, answer: string): void {
  const recent = recentOps(store, head.ring);
  store.clear();
  const ring = emptyRing();
  for (const each of recent) rememberOp(store, ring, each.op, each.answer);
  rememberOp(store, ring, op, answer);
  store.put({ kind: head.kind, count: 0, gone: true, ring });
  store.keepUntil(store.nowMs + KEPT_MS);
}

function incr(store: Store, input: Write & { delta: number }): KeyOutcome {
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  const head = open(store, "number");
  if (head.kind !== "number") return { refused: "wrong_kind" };
  const value = Number(head.value ?? "0") + input.delta;
  if (value > MAX_INTEGER || value < -MAX_INTEGER) return { refused: "out_of_range" };
  head.value = formatInteger(value);
  return save(store, head, input, head.value);
}

function getInt(store: Store, _input: object): KeyOutcome {
  const head = find(store);
  if (head === undefined) return { result: "0" };
  return head.kind === "number" ? { result: head.value ?? "0" } : { refused: "wrong_kind" };
}

function setIfAbsent(store: Store, input: { op: string; ttlMs: number }): { set: boolean } {
  const head = find(store);
  if (head !== undefined) return { set: head.op === input.op };
  const { ring } = open(store, "flag");
  store.put({ kind: "flag", count: 0, op: input.op, pinned: true, ring });
  store.keepUntil(store.nowMs + input.ttlMs);
  return { set: true };
}

function sadd(store: Store, input: Write & { members: string[] }): KeyOutcome {
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  const head = open(store, "set");
  if (head.kind !== "set") return { refused: "wrong_kind" };
  const names = input.members.map((member) => `m:${member}`);
  store.load(names);
  const added: string[] = [];
  const seen: Record<string, boolean | undefined> = {};
  for (const name of names) {
    if (seen[name] === true || store.get(name) !== undefined) continue;
    seen[name] = true;
    added.push(name);
  }
  if (head.count + added.length > MAX_MEMBERS) return { refused: "full" };
  for (const name of added) store.set(name, "");
  head.count += added.length;
  return save(store, head, input, formatInteger(added.length));
}

function srem(store: Store, input: Write & { members: string[] }): KeyOutcome {
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  const head = find(store);
  if (head === undefined) return { result: "0" };
  if (head.kind !== "set") return { refused: "wrong_kind" };
  const names = input.members.map((member) => `m:${member}`);
  store.load(names);
  let removed = 0;
  for (const name of names) {
    if (store.get(name) !== undefined) {
      store.remove(name);
      removed++;
    }
  }
  head.count -= removed;
  const result = formatInteger(removed);
  if (head.count > 0) return save(store, head, input, result);
  forget(store, head, input.op, result);
  return { result };
}

function scard(store: Store, _input: object): KeyOutcome {
  const head = find(store);
  if (head === undefined) return { result: "0" };
  return head.kind === "set" ? { result: formatInteger(head.count) } : { refused: "wrong_kind" };
}

function rpush(store: Store, input: Write & { values: string[] }): KeyOutcome {
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  const head = open(store, "list");
  if (head.kind !== "list") return { refused: "wrong_kind" };
  if (head.count + input.values.length > MAX_ITEMS) return { refused: "full" };
  if (head.count === 0) head.life = input.op;
  for (const value of input.values) {
    store.set(`i:${formatInteger(head.count)}`, value);
    head.count++;
  }
  return save(store, head, input, formatInteger(head.count));
}

/**
 * Returns a page of the list, beginning at `from`. A list grows only at its end. So pages with the same `life` make up
 * the list as it was at the last page. When `life` names another list, returns the first page of the current one.
 */
function lrange(store: Store, input: { from?: number; life?: string; bytes?: number }): ListPage {
  const head = find(store);
  if (head === undefined) return { values: [] };
  if (head.kind !== "list") return { refused: "wrong_kind" };
  const life = head.life ?? "";
  const from = input.life === life ? (input.from ?? 0) : 0;
  const values = readPage(store, { letter: "i", from, to: head.count, bytes: input.bytes });
  const next = from + values.length;
  const page = values.map((value) => value ?? "");
  return next < head.count ? { values: page, life, next } : { values: page, life };
}

function expire(store: Store, input: { ttlMs: number }): { found: boolean } {
  const head = find(store);
  if (head === undefined) return { found: false };
  head.pinned = true;
  store.put(head);
  store.keepUntil(store.nowMs + input.ttlMs);
  return { found: true };
}

function remove(store: Store, input: { op: string }): { found: boolean } {
  if (recallOp(store, input.op) !== undefined) return { found: true };
  const head = find(store);
  if (head === undefined) return { found: false };
  forget(store, head, input.op, "");
  return { found: true };
}

export const kv = { incr, getInt, setIfAbsent, sadd, srem, scard, rpush, lrange, expire, delete: remove };
