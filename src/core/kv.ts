import { formatInteger } from "./host.js";
import { readPage } from "./page.js";
import { emptyRing, KEPT_MS, type OpRing, recallOp, recentOps, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * Raw keys: a number, a set, a list, or a flag. A record a key; its kind is fixed by the first write.
 *
 * Members: `m:MEMBER` of a set, `i:N` of a list, and those of the ring of operations: a call that arrives twice counts
 * once. A key that was deleted, and a set that has become empty, keep the ring for as long as a call may be sent again: else a
 * late copy of an earlier write would count once more, and that of a delete would take what was written after it.
 */
interface KeyHead {
  kind: "number" | "set" | "list" | "flag";
  /** A number's decimal text. */
  value?: string;
  /** How many members or items. */
  count: number;
  /** A flag's maker. */
  op?: string;
  /** A list's first write: a page of one list is never followed by a page of another. */
  life?: string;
  /** `expire` was called: writes leave the TTL alone. */
  pinned?: boolean;
  /** There is no such key any more: only its ring of operations is left. */
  gone?: boolean;
  ring: OpRing;
}

export interface Write {
  op: string;
  /** How long a key lives after its last write, unless `expire` says otherwise; 0 for ever. */
  ttlMs: number;
}

/** A write's result, or why it was refused. */
export interface KeyOutcome {
  /** Decimal text: Lua's JSON keeps 14 digits. */
  result?: string;
  refused?: "wrong_kind" | "out_of_range" | "full";
}

/** A page of a list. */
export interface ListPage {
  values?: string[];
  /** Where the list goes on; absent on its last page. */
  next?: number;
  /** Which list it is. */
  life?: string;
  refused?: "wrong_kind";
}

const MAX_INTEGER = 9007199254740991;
export const MAX_MEMBERS = 100_000;
export const MAX_ITEMS = 10_000;

/** The key, if there is one. */
function find(store: Store): KeyHead | undefined {
  const head = store.head<KeyHead>();
  return head === undefined || head.gone === true ? undefined : head;
}

/** The key, or a new one, which knows the operations of the last one. */
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

/** Removes the key. What its latest operations answered stays for as long as they may be sent again. */
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
 * A page of the list, from `from` on. A list only grows at its end, so that pages of one life make up the list as it is at
 * the last of them. From another list than `life` says, it is the first page.
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
