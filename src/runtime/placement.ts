/** The shards that Redis keys and due queues are spread over. Fixed: another number would lose what is stored. */
export const SHARDS = 64;

/** Redis Cluster's hash-tag rule: what stands in the first non-empty `{…}`, else the whole key. */
export function tagOf(key: string): string {
  const open = key.indexOf("{");
  if (open < 0) return key;
  const close = key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/**
 * The place that a record shares with others: raw keys live with all keys of their tag, small records (claims, versions)
 * with those of their namespace and shard, everything else alone. A Durable Object is made per place, and Redis keys are
 * sharded by it.
 */
export function placeOf(machine: string, id: string): string {
  if (machine === "kv") return `{kv}${tagOf(id)}`;
  if (machine === "coalesce" || machine === "dedupe") return `{${machine}}${firstPartOf(id)}${shardOf(id)}`;
  return `{${machine}}${id}`;
}

/** One id of several parts. Injective, whatever the parts contain: each tells its length first. */
export function joinParts(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join("");
}

/** The first part of a joined id, with its length; "" when the id is not one. */
function firstPartOf(id: string): string {
  const [length] = /^\d{1,3}:/.exec(id) ?? [];
  return length === undefined ? "" : id.slice(0, length.length + Number.parseInt(length, 10));
}

/** A record's name within its place or process. Injective: a machine's name holds no colon. */
export function recordName(machine: string, id: string): string {
  return `${machine}:${id}`;
}

/** The shard of a place, 0 to 63: FNV-1a over UTF-16 code units. */
export function shardOf(place: string, shards = SHARDS): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < place.length; i++) {
    hash = Math.imul(hash ^ place.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % shards;
}
