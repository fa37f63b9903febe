/** The prefix of the keys, or of the objects' names, where none is set. */
export const DEFAULT_KEY_PREFIX = "coord:";

/** How many shards hold the Redis keys and due queues. Fixed: with another number, stored records are not found. */
export const SHARDS = 64;

/**
 * Returns the hash tag of a key, by Redis Cluster's rule: the text inside the first `{…}` if it is not empty, else the
 * whole key.
 */
export function tagOf(key: string): string {
  const open = key.indexOf("{");
  if (open < 0) return key;
  const close = key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/**
 * Returns the place that a record shares with others. Raw keys share one with all keys of their hash tag. Small records
 * (claims, versions, limits) share one with those of their namespace and shard. Every other record has its own. Each
 * place is one Durable Object, and decides the shard of a Redis key.
 */
export function placeOf(machine: string, id: string): string {
  if (machine === "kv") return `{kv}${tagOf(id)}`;
  if (machine === "coalesce" || machine === "dedupe" || machine === "limiter")
    return `{${machine}}${firstPartOf(id)}${shardOf(id)}`;
  return `{${machine}}${id}`;
}

/** Joins several parts to one id. Injective, whatever the parts contain: each part is preceded by its length. */
export function joinParts(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join("");
}

/** Returns the first part of a joined id, with its length; "" when the id is not joined. */
function firstPartOf(id: string): string {
  const [length] = /^\d{1,3}:/.exec(id) ?? [];
  return length === undefined ? "" : id.slice(0, length.length + Number.parseInt(length, 10));
}

/** Returns a record's name within its place or process. Injective: a machine's name holds no colon. */
export function recordName(machine: string, id: string): string {
  return `${machine}:${id}`;
}

/** Returns what `recordName` joined. */
export function partsOfRecord(name: string): { readonly machine: string; readonly id: string } {
  const colon = name.indexOf(":");
  return { machine: name.slice(0, colon), id: name.slice(colon + 1) };
}

/** Returns the shard of a place, 0 to 63: FNV-1a over UTF-16 code units. */
export function shardOf(place: string, shards = SHARDS): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < place.length; i++) {
    hash = Math.imul(hash ^ place.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % shards;
}
