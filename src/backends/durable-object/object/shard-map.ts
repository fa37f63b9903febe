import { shardOf } from "../../../runtime/placement.js";

/** How many shards an index may have. Each doubling adds a call to a list. */
export const MAX_SHARDS = 16;

/** A shard's place in its index. */
export interface ShardState {
  readonly keyPrefix: string;
  readonly number: number;
  /** Lines belong to their shards by this count. */
  readonly count: number;
  /** Another shard, `number - count / 2`, may still hold lines of this one. */
  readonly isReceiving: boolean;
  /** Set while the shard splits: the lines up to this name are where they belong. */
  readonly moved?: string | undefined;
  /** The lines up to this name, after `moved`, may be in both shards. They do not change until they have moved. */
  readonly sealed?: string | undefined;
  /** In shard 0 alone: the count that the other shards are being told. */
  readonly target?: number | undefined;
  /** In shard 0 alone: the other shards may work by another count, or may still move lines. */
  readonly isUnsettled?: boolean;
  /** In shard 0 alone: it is unsettled because the index doubles, and not because a shard may have ended. */
  readonly isDoubling?: boolean;
}

const HASHES = 2 ** 32;

/** Returns the shard that a line belongs to. `count` is a power of two: a doubling moves lines from `n` to `n + count`. */
export function shardOfLine(name: string, count: number): number {
  const hash = shardOf(name, HASHES);
  // The low bits of FNV-1a depend on the low bits of the characters alone.
  return (hash ^ (hash >>> 15)) & (count - 1);
}

/** Returns the count by which the shard's callers find its lines. */
export function baseOf({ count, moved }: ShardState): number {
  return moved === undefined ? count : count / 2;
}

export interface Arrival {
  /** The record's name. */
  readonly name: string;
  /** The shard that sent the message on. */
  readonly from: number | undefined;
  /** Returns whether the shard holds a line of the record. */
  isHeld(): boolean;
  /** Returns whether the name is among those that may be in both shards. */
  isSealed(): boolean;
}

/**
 * Returns what a shard does with a message: stores its line (`here`), moves lines first (`move`), or sends it on to another
 * shard.
 *
 * While a shard splits, it stays the only shard that changes a line that it holds. The new shard takes messages only about
 * lines that it holds, or that the old shard does not hold. So each record has one line, and the order of its messages holds.
 */
export function wayOf(state: ShardState, { name, from, isHeld, isSealed }: Arrival): "here" | "move" | number {
  const { number, count, isReceiving } = state;
  const home = shardOfLine(name, count);
  if (home === number) {
    const parent = number - count / 2;
    return isReceiving && from !== parent && !isHeld() ? parent : "here";
  }
  if (shardOfLine(name, baseOf(state)) !== number || !isHeld()) return home;
  return isSealed() ? "move" : "here";
}

/** Returns the other shards whose lines a shard would hold if there were only `shards`. */
export function othersOf(number: number, shards: number, count: number): number[] {
  const others: number[] = [];
  for (let other = number + shards; other < count; other += shards) others.push(other);
  return others;
}
