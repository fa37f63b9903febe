import type { MachineName } from "../../core/registry.js";
import { placeOf, recordName, SHARDS, shardOf } from "../../runtime/placement.js";

const CHANNELS = 16;

/** The Redis keys of one record. */
export interface RecordKeys {
  /** The record's name in the due queue, and in its messages. */
  readonly name: string;
  readonly record: string;
  readonly due: string;
  readonly channel: string;
}

/** Returns a record's keys. Both share a hash tag, so that a cluster stores them in one slot. */
export function keysOf(prefix: string, machine: MachineName, id: string): RecordKeys {
  const place = placeOf(machine, id);
  const name = recordName(machine, id);
  const shard = shardOf(place);
  const channel = `${prefix}notify:${shardOf(place, CHANNELS)}`;
  return { name, record: `${prefix}{${shard}}:${name}`, due: dueKey(prefix, shard), channel };
}

/** Returns the keys of the due queue, one for each shard. */
export function dueKeys(prefix: string): string[] {
  return Array.from({ length: SHARDS }, (_, shard) => dueKey(prefix, shard));
}

function dueKey(prefix: string, shard: number): string {
  return `${prefix}{${shard}}:due`;
}
