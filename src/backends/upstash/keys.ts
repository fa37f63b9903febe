import type { MachineName } from "../../core/registry.js";
import { isListed, type ListedMachine } from "../../runtime/listing.js";
import { placeOf, recordName, SHARDS, shardOf } from "../../runtime/placement.js";

const CHANNELS = 16;

/** The Redis keys of one record. */
export interface RecordKeys {
  /** The record's name in the due queue, and in its messages. */
  readonly name: string;
  readonly record: string;
  readonly due: string;
  /** Present for the machines that have an index. */
  readonly index: string | undefined;
  readonly channel: string;
}

/** Returns a record's keys. All share a hash tag, so that a cluster stores them in one slot. */
export function keysOf(prefix: string, machine: MachineName, id: string): RecordKeys {
  const place = placeOf(machine, id);
  const name = recordName(machine, id);
  const shard = shardOf(place);
  const channel = `${prefix}notify:${shardOf(place, CHANNELS)}`;
  const index = isListed(machine) ? indexKey(prefix, shard, machine) : undefined;
  return { name, record: `${prefix}{${shard}}:${name}`, due: dueKey(prefix, shard), index, channel };
}

/** Returns the keys of a machine's index, one for each shard. */
export function indexKeys(prefix: string, machine: ListedMachine): string[] {
  return Array.from({ length: SHARDS }, (_, shard) => indexKey(prefix, shard, machine));
}

function indexKey(prefix: string, shard: number, machine: ListedMachine): string {
  return `${prefix}{${shard}}:index:${machine}`;
}

/** Returns the keys of the due queue, one for each shard. */
export function dueKeys(prefix: string): string[] {
  return Array.from({ length: SHARDS }, (_, shard) => dueKey(prefix, shard));
}

function dueKey(prefix: string, shard: number): string {
  return `${prefix}{${shard}}:due`;
}
