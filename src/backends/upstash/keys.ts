import type { MachineName } from "../../core/registry.js";
import { placeOf, recordName, SHARDS, shardOf } from "../../runtime/placement.js";

const CHANNELS = 16;

/** Where one record lives. */
export interface RecordKeys {
  /** Its name in the due queue, and the text of its messages. */
  readonly name: string;
  readonly record: string;
  readonly due: string;
  readonly channel: string;
}

/** Both keys share a hash tag, so that a cluster keeps them together. */
export function keysOf(prefix: string, machine: MachineName, id: string): RecordKeys {
  const place = placeOf(machine, id);
  const name = recordName(machine, id);
  const shard = shardOf(place);
  const channel = `${prefix}notify:${shardOf(place, CHANNELS)}`;
  return { name, record: `${prefix}{${shard}}:${name}`, due: dueKey(prefix, shard), channel };
}

/** The due queues of all shards. */
export function dueKeys(prefix: string): string[] {
  return Array.from({ length: SHARDS }, (_, shard) => dueKey(prefix, shard));
}

function dueKey(prefix: string, shard: number): string {
  return `${prefix}{${shard}}:due`;
}
