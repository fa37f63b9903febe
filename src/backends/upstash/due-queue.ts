import type { WakingMachine } from "../../coordinator.js";
import { recordName } from "../../tags.js";
import type { Client } from "./client.js";
import { explainRefusal, Refused, unexpectedReply } from "./failure.js";
import { dueKeys } from "./keys.js";
import { isMachine } from "./scripts.js";

/** A line of the due queue. */
export interface DueLine {
  /** The queue that it stands in. */
  readonly key: string;
  readonly machine: WakingMachine;
  readonly id: string;
  readonly atMs: number;
}

export interface DueLines {
  /** The server's time, in milliseconds since 1970. */
  readonly nowMs: number;
  /** The earliest first. */
  readonly lines: readonly DueLine[];
  /** Whether a shard may hold more that is due than was read of it. */
  readonly isCut: boolean;
}

/** Reads the first `perShard` + 1 lines of every shard, and the server's time, in one request. */
export async function readDueLines(
  client: Client,
  options: { prefix: string; perShard: number; skewMs: number; signal: AbortSignal | undefined },
): Promise<DueLines> {
  const { prefix, perShard, skewMs, signal } = options;
  const pipeline = client.commands({ signal, applied: "no" }).pipeline();
  pipeline.time();
  const keys = dueKeys(prefix);
  for (const key of keys) pipeline.zrange(key, 0, perShard, { withScores: true });
  const replies: unknown[] = await pipeline.exec({ keepErrors: true });
  const [time, ...shards] = replies.map(resultOf);
  const nowMs = timeOf(time) + skewMs;
  const lines: DueLine[] = [];
  let isCut = false;
  for (const [i, shard] of shards.entries()) {
    const key = keys[i] ?? "";
    const pairs = pairsOf(shard);
    const last = pairs.at(-1);
    isCut ||= pairs.length > perShard && last !== undefined && last.atMs <= nowMs;
    for (const { name, atMs } of pairs) {
      const colon = name.indexOf(":");
      const machine = name.slice(0, colon);
      // A machine of a later version is left to those who have it.
      if (isMachine(machine)) lines.push({ key, machine: machine as WakingMachine, id: name.slice(colon + 1), atMs });
    }
  }
  return { nowMs, isCut, lines: lines.sort((a, b) => a.atMs - b.atMs) };
}

/** Has a line come up later, if it is still there and was to come up sooner. */
export async function postpone(
  client: Client,
  { key, machine, id }: DueLine,
  { atMs, signal }: { atMs: number; signal: AbortSignal | undefined },
): Promise<void> {
  const later = { score: atMs, member: recordName(machine, id) };
  await client.commands({ signal, applied: "unknown" }).zadd(key, { xx: true, gt: true }, later);
}

function resultOf(reply: unknown): unknown {
  const { result, error } = reply as { result?: unknown; error?: unknown };
  if (typeof error === "string") throw explainRefusal(new Refused(error));
  return result;
}

function timeOf(reply: unknown): number {
  const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
  const ms = (seconds ?? Number.NaN) * 1000 + Math.floor((micros ?? Number.NaN) / 1000);
  if (!Number.isFinite(ms)) throw unexpectedReply("no");
  return ms;
}

function pairsOf(reply: unknown): { name: string; atMs: number }[] {
  if (!Array.isArray(reply) || reply.length % 2 !== 0) throw unexpectedReply("no");
  const pairs: { name: string; atMs: number }[] = [];
  for (let i = 0; i < reply.length; i += 2) {
    const [name, atMs] = [reply[i], Number(reply[i + 1])];
    if (typeof name !== "string" || !Number.isFinite(atMs)) throw unexpectedReply("no");
    pairs.push({ name, atMs });
  }
  return pairs;
}
