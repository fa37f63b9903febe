import { formatInteger } from "../platform.js";
import type { Store } from "../store.js";
import { emptyRing, type OpRing, recallOp, rememberOp } from "./op-ring.js";

/**
 * Raw keys: a number, a set, a list, or a flag. A record a key; its kind is fixed by the first write.
 *
 * Members: `m:MEMBER` of a set, `i:N` of a list, and those of the ring of operations: a call that arrives twice counts
 * once.
 */
interface KeyHead {
  kind: "number" | "set" | "list" | "flag";
  /** A number's decimal text. */
  value?: string;
  /** How many members or items. */
  count: number;
  /** A flag's maker. */
  op?: string;
  /** `expire` was called: writes leave the TTL alone. */
  pinned?: boolean;
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

const MAX_INTEGER = 9007199254740991;
export const MAX_MEMBERS = 100_000;
export const MAX_ITEMS = 10_000;

function open(store: Store, kind: KeyHead["kind"]): KeyHead {
  return store.head<KeyHead>() ?? { kind, count: 0, ring: emptyRing() };
}

function save(store: Store, head: KeyHead, input: Write, result: string): KeyOutcome {
  rememberOp(store, head.ring, input.op, result);
  store.put(head);
  if (input.ttlMs > 0 && head.pinned !== true) store.keepUntil(store.nowMs + input.ttlMs);
  return { result };
}

function incr(store: Store, input: Write & { delta: number }): KeyOutcome {
  const head = open(store, "number");
  if (head.kind !== "number") return { refused: "wrong_kind" };
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  const value = Number(head.value ?? "0") + input.delta;
  if (value > MAX_INTEGER || value < -MAX_INTEGER) return { refused: "out_of_range" };
  head.value = formatInteger(value);
  return save(store, head, input, head.value);
}

function getInt(store: Store, _input: object): KeyOutcome {
  const head = open(store, "number");
  if (head.kind !== "number") return { refused: "wrong_kind" };
  return { result: head.value ?? "0" };
}

function setIfAbsent(store: Store, input: { op: string; ttlMs: number }): { set: boolean } {
  const head = store.head<KeyHead>();
  if (head !== undefined) return { set: head.op === input.op };
  store.put({ kind: "flag", count: 0, op: input.op, pinned: true, ring: emptyRing() });
  store.keepUntil(store.nowMs + input.ttlMs);
  return { set: true };
}

function sadd(store: Store, input: Write & { members: string[] }): KeyOutcome {
  const head = open(store, "set");
  if (head.kind !== "set") return { refused: "wrong_kind" };
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
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
  const head = store.head<KeyHead>();
  if (head === undefined) return { result: "0" };
  if (head.kind !== "set") return { refused: "wrong_kind" };
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
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
  if (head.count > 0) return save(store, head, input, formatInteger(removed));
  store.clear();
  return { result: formatInteger(removed) };
}

function scard(store: Store, _input: object): KeyOutcome {
  const head = open(store, "set");
  return head.kind === "set" ? { result: formatInteger(head.count) } : { refused: "wrong_kind" };
}

function rpush(store: Store, input: Write & { values: string[] }): KeyOutcome {
  const head = open(store, "list");
  if (head.kind !== "list") return { refused: "wrong_kind" };
  const before = recallOp(store, input.op);
  if (before !== undefined) return { result: before };
  if (head.count + input.values.length > MAX_ITEMS) return { refused: "full" };
  for (const value of input.values) {
    store.set(`i:${formatInteger(head.count)}`, value);
    head.count++;
  }
  return save(store, head, input, formatInteger(head.count));
}

function lrange(store: Store, _input: object): { values?: string[]; refused?: "wrong_kind" } {
  const head = open(store, "list");
  if (head.kind !== "list") return { refused: "wrong_kind" };
  const names: string[] = [];
  for (let i = 0; i < head.count; i++) names.push(`i:${formatInteger(i)}`);
  store.load(names);
  return { values: names.map((name) => store.get(name) ?? "") };
}

function expire(store: Store, input: { ttlMs: number }): { found: boolean } {
  const head = store.head<KeyHead>();
  if (head === undefined) return { found: false };
  head.pinned = true;
  store.put(head);
  store.keepUntil(store.nowMs + input.ttlMs);
  return { found: true };
}

function remove(store: Store, _input: object): { found: boolean } {
  if (store.head<KeyHead>() === undefined) return { found: false };
  store.clear();
  return { found: true };
}

export const kv = { incr, getInt, setIfAbsent, sadd, srem, scard, rpush, lrange, expire, delete: remove };
