import type { WakingMachine } from "../../runtime/backend.js";
import type { DueLine, DueQueue } from "../../runtime/drain.js";
import { partsOfRecord } from "../../runtime/placement.js";
import type { Answer, Client, Command } from "./client.js";
import { explainRefusal, Refused, unexpectedReply } from "./failure.js";
import { dueKeys } from "./keys.js";
import { isTransition, type Scripts } from "./scripts.js";

/** A line of the queue, and the shard that holds it. */
export interface ShardLine extends DueLine {
  readonly key: string;
  readonly name: string;
}

/** One shard: its first line and whether more are due. */
interface Shard {
  readonly key: string;
  /** The time of its first line that was not taken. */
  nextAtMs: number;
  /** True: at most that line is due. */
  isLone: boolean;
}

export interface DueQueueOptions {
  readonly client: Client;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly skewMs: number;
  /** The signal of the drain. */
  readonly signal: AbortSignal | undefined;
  /** Sends one request, and retries it like any operation. */
  request<T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}

/**
 * How long a taken line is hidden from other drains, plus up to 8 s. A line that could not be woken is skipped for this time.
 * Lines of a crashed drain come up again after it.
 */
const TAKEN_MS = 30_000;
/** How many lines one script takes of a shard with several due lines, at least. */
const MIN_SHARE = 16;

/**
 * The due queue of a key prefix, 64 sorted sets. One request reads the time and the first two lines of each. Due lines are
 * then taken page by page. The script that takes lines moves them behind the others, so concurrent drains take different
 * lines. Lines of machines that this version does not know do not block the others.
 */
export class ShardedDueQueue implements DueQueue<ShardLine> {
  readonly #options: DueQueueOptions;
  #shards: Shard[] | undefined;
  /** The server's time minus this machine's time. */
  #aheadMs = 0;

  constructor(options: DueQueueOptions) {
    this.#options = options;
  }

  async take(count: number): Promise<ShardLine[] | undefined> {
    this.#shards ??= await this.#readHeads();
    const nowMs = this.#nowMs();
    const due = this.#shards.filter(({ nextAtMs }) => nextAtMs <= nowMs).sort((a, b) => a.nextAtMs - b.nextAtMs);
    if (due.length === 0) return undefined;
    const share = Math.max(MIN_SHARE, Math.ceil(count / due.length));
    const asked: { readonly shard: Shard; readonly most: number }[] = [];
    let rest = count;
    for (const shard of due) {
      const most = Math.min(shard.isLone ? 1 : share, rest);
      if (most > 0) asked.push({ shard, most });
      rest -= most;
    }
    const { client, scripts, request, signal: ended } = this.#options;
    const untilMs = nowMs + TAKEN_MS + spread();
    const calls = asked.map(({ shard, most }) => ({
      transition: "take" as const,
      keys: [shard.key],
      args: [String(most), String(nowMs), String(untilMs)],
    }));
    const replies = await request(async (signal) => {
      const answers = await scripts.run(calls, (commands) => client.ask(commands, { signal, applied: "unknown" }));
      return answers.map((answer) => {
        if ("failure" in answer) throw answer.failure;
        return pairsOf(resultOf(answer));
      });
    }, ended);
    return asked
      .flatMap(({ shard, most }, i) => takenOf(shard, replies[i] ?? [], { most, nowMs }))
      .sort((a, b) => a.atMs - b.atMs);
  }

  /** Nothing to do: a taken line stays hidden for 30 seconds anyway. */
  putOff(): void {}

  /** Returns untaken lines. When this fails, the lines come up again later. */
  async giveBack(lines: readonly ShardLine[]): Promise<void> {
    const byKey = new Map<string, (string | number)[]>();
    for (const { key, name, atMs } of lines) {
      byKey.set(key, [...(byKey.get(key) ?? ["ZADD", key, "XX", "LT"]), atMs, name]);
      const shard = this.#shards?.find((one) => one.key === key);
      if (shard !== undefined) shard.nextAtMs = Math.min(shard.nextAtMs, atMs);
    }
    // Without the drain's signal: an aborted drain returns its lines too.
    await this.#ask([...byKey.values()], "unknown", undefined).catch(() => {});
  }

  outlook(): { isDue: boolean; nextDueAtMs: number | undefined } {
    const nextAtMs = Math.min(...(this.#shards ?? []).map((shard) => shard.nextAtMs));
    return {
      isDue: nextAtMs <= this.#nowMs(),
      nextDueAtMs: Number.isFinite(nextAtMs) ? Math.ceil(nextAtMs) : undefined,
    };
  }

  async #readHeads(): Promise<Shard[]> {
    const keys = dueKeys(this.#options.prefix);
    const reads = keys.map((key): Command => ["ZRANGE", key, 0, 1, "WITHSCORES"]);
    const [time, ...replies] = await this.#ask([["TIME"], ...reads], "no", this.#options.signal);
    this.#aheadMs = timeOf(time) + this.#options.skewMs - Date.now();
    const nowMs = this.#nowMs();
    return keys.map((key, i) => {
      const [first, second] = pairsOf(replies[i]);
      return { key, nextAtMs: first?.atMs ?? Number.POSITIVE_INFINITY, isLone: (second?.atMs ?? nowMs + 1) > nowMs };
    });
  }

  async #ask(
    commands: readonly Command[],
    applied: "no" | "unknown",
    ended: AbortSignal | undefined,
  ): Promise<unknown[]> {
    const { client, request } = this.#options;
    return request(async (signal) => (await client.ask(commands, { signal, applied })).map(resultOf), ended);
  }

  #nowMs(): number {
    return Date.now() + this.#aheadMs;
  }
}

/**
 * Returns a random number up to 8 s, one of 33 million values, that makes a call's `untilMs` unique. A sorted set keeps its
 * fraction of a millisecond exactly. Two calls with the same number would wake the same lines: harmless, but one more call
 * for each line.
 */
function spread(): number {
  return (1 + Math.floor(Math.random() * 33_554_431)) / 4_096;
}

/** Returns the lines that the script took from a shard, and records the shard's next line. */
function takenOf(shard: Shard, pairs: readonly Pair[], { most, nowMs }: { most: number; nowMs: number }): ShardLine[] {
  const taken = pairs.slice(0, most).filter(({ atMs }) => atMs <= nowMs);
  const next = pairs[taken.length];
  shard.nextAtMs = next?.atMs ?? Number.POSITIVE_INFINITY;
  shard.isLone = false;
  return taken.flatMap(({ name, atMs }) => {
    const { machine, id } = partsOfRecord(name);
    // Another version of the library has this machine. Its drains see the line when it comes up again.
    if (!isTransition(`${machine}.woken`)) return [];
    return [{ key: shard.key, name, machine: machine as WakingMachine, id, atMs }];
  });
}

function resultOf({ result, error }: Answer): unknown {
  if (error !== undefined) throw explainRefusal(new Refused(error));
  return result;
}

function timeOf(reply: unknown): number {
  const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
  const ms = (seconds ?? Number.NaN) * 1000 + Math.floor((micros ?? Number.NaN) / 1000);
  if (!Number.isFinite(ms)) throw unexpectedReply("no");
  return ms;
}

interface Pair {
  readonly name: string;
  readonly atMs: number;
}

function pairsOf(reply: unknown): Pair[] {
  if (!Array.isArray(reply) || reply.length % 2 !== 0) throw unexpectedReply("no");
  const pairs: Pair[] = [];
  for (let i = 0; i < reply.length; i += 2) {
    const [name, atMs] = [reply[i], Number(reply[i + 1])];
    if (typeof name !== "string" || !Number.isFinite(atMs)) throw unexpectedReply("no");
    pairs.push({ name, atMs });
  }
  return pairs;
}
