import { CoordinationError } from "../../../errors.js";
import { systemClock } from "../../../lib/clock.js";
import { within } from "../../../runtime/deadline.js";
import { compareBytes } from "../../../runtime/listing.js";
import { outputOf } from "../object-calls.js";
import type { ObjectMethods, ObjectReply, ShardAnswer, ShardCall } from "../protocol.js";
import type { ObjectAlarm } from "./alarm.js";
import { type LineTable, SHARD_ROW } from "./line-table.js";
import { MAX_SHARDS, othersOf, type ShardState, shardOfLine } from "./shard-map.js";

/** How many lines a shard looks at in one step of a move. About half of them move. */
const MAX_A_STEP = 1_000;
/** How often shard 0 asks the others whether they have moved their lines. */
const ASK_AGAIN_MS = 1_000;
/** How long one call of another shard may take. */
const ANSWER_MS = 5_000;

export interface IndexShardsOptions {
  readonly lines: LineTable;
  readonly alarm: ObjectAlarm;
  readonly now: () => number;
  shard(keyPrefix: string, number: number): ObjectMethods;
}

/**
 * The number of an index's shards, and the moves of lines when it doubles. Shard 0 decides the number and stores it. Its alarm
 * tells the others, again and again until all lines are where they belong. So a crash at any step costs time alone.
 *
 * A line moves by a copy and then a removal. Before the copy the old shard stores which names it sends, and refuses to change
 * their lines until it has removed them. So both copies are the same, however often the step is repeated.
 */
export class IndexShards {
  readonly #options: IndexShardsOptions;
  /** Moves, and reads that must not overlap with them, run one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Whether this instance has told the others to begin. */
  #hasBegun = false;

  constructor(options: IndexShardsOptions) {
    this.#options = options;
  }

  /** Whether the alarm has work to do. */
  get isBusy(): boolean {
    const { state } = this.#options.lines;
    return state !== undefined && (state.moved !== undefined || state.isUnsettled === true);
  }

  /** Whether the line is among those that may be in both shards. */
  isSealed(name: string): boolean {
    const { moved = SHARD_ROW, sealed } = this.#options.lines.state ?? {};
    return sealed !== undefined && compareBytes(name, moved) > 0 && compareBytes(name, sealed) <= 0;
  }

  /** In shard 0: begins to double the number of shards. Does nothing if it is another number now, or is changing. */
  grow(keyPrefix: string, count: number): void {
    const { lines, alarm, now } = this.#options;
    const state = lines.state ?? { keyPrefix, number: 0, count: 1, isReceiving: false };
    if (state.number !== 0 || state.isUnsettled || state.count !== count || count >= MAX_SHARDS) return;
    lines.state = { ...state, target: count * 2, isUnsettled: true };
    this.#hasBegun = false;
    alarm.arm(now() + 1);
  }

  /** Asks shard 0 to double the number of shards. Never rejects: a shard that is still overloaded asks again. */
  async askToGrow({ number, keyPrefix, count }: ShardState): Promise<void> {
    if (number === 0) this.grow(keyPrefix, count);
    else await this.#call(0, { kind: "grow", count }).catch(() => {});
  }

  /** Answers a call of another shard. */
  answer(call: ShardCall): ShardAnswer {
    const { lines } = this.#options;
    if (call.kind === "begin") this.#begin(call);
    else if (call.kind === "take") this.#take(call);
    else if (call.kind === "grow" && lines.state !== undefined) this.grow(lines.state.keyPrefix, call.count);
    else if (call.kind === "close") this.#close();
    const { state, isEmpty } = lines;
    return { isDone: state?.moved === undefined && state?.isReceiving !== true, isEmpty };
  }

  /** Works on what is to do, a bounded step at a time. Returns after which pause to go on; `undefined`: nothing is left. */
  async work(): Promise<number | undefined> {
    const { state } = this.#options.lines;
    if (state?.isUnsettled && (state.moved === undefined || !this.#hasBegun)) await this.#settleAll();
    await this.#inTurn(() => this.#step());
    if (!this.isBusy) return undefined;
    return this.#options.lines.state?.moved === undefined ? ASK_AGAIN_MS : 1;
  }

  /** Moves the lines that may be in two shards. Resolves when they are in one. */
  settle(): Promise<void> {
    return this.#inTurn(() => this.#unseal());
  }

  /** Runs a read of two shards while no line is in both, and none moves. */
  read<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#inTurn(async () => {
      await this.#unseal();
      return work();
    });
  }

  /** Calls another shard. @throws {CoordinationError} `backend_unavailable` when it does not answer in time. */
  ask<Output>(number: number, call: (shard: ObjectMethods) => ObjectReply | Promise<ObjectReply>): Promise<Output> {
    const { lines, shard } = this.#options;
    const limit = { limitMs: ANSWER_MS, signal: undefined, clock: systemClock };
    return within(limit, silent, async () => {
      try {
        return outputOf<Output>(await call(shard(lines.state?.keyPrefix ?? "", number)));
      } catch (cause) {
        throw cause instanceof CoordinationError ? cause : silent(cause);
      }
    });
  }

  /** In shard 0: has the alarm tell all others the number of shards, because one of them may have ended. */
  beginAgain(): void {
    const { lines, alarm, now } = this.#options;
    const { state } = lines;
    if (state === undefined || state.number !== 0 || state.isUnsettled) return;
    lines.state = { ...state, isUnsettled: true };
    this.#hasBegun = false;
    alarm.arm(now() + ASK_AGAIN_MS);
  }

  /** In shard 0, without a line: ends all shards, if no other holds a line either. */
  async end(): Promise<void> {
    const { lines } = this.#options;
    const { state } = lines;
    if (state === undefined || state.number !== 0) return;
    const others = othersOf(0, 1, state.count);
    const { keyPrefix, count } = state;
    const found = await this.#callAll(others, (number) => ({
      kind: "begin",
      keyPrefix,
      number,
      count,
      isReceiving: false,
    }));
    if (!found.every(({ isEmpty }) => isEmpty) || this.isBusy) return;
    // A line may arrive meanwhile. If only some of the others end, the alarm makes them begin again.
    this.beginAgain();
    const ended = await this.#callAll(others, () => ({ kind: "close" }));
    if (ended.every(({ isEmpty }) => isEmpty) && lines.isEmpty) this.#drop();
  }

  #drop(): void {
    const { lines, alarm } = this.#options;
    lines.drop();
    alarm.set(undefined);
  }

  #begin({ keyPrefix, number, count, isReceiving }: Extract<ShardCall, { kind: "begin" }>): void {
    const { lines, alarm, now } = this.#options;
    const { state } = lines;
    if (state === undefined) lines.state = { keyPrefix, number, count, isReceiving };
    else if (count > state.count) lines.state = { ...state, count, moved: SHARD_ROW };
    if (lines.state?.moved !== undefined) alarm.arm(now() + 1);
  }

  #take({ lines: rows, isLast }: Extract<ShardCall, { kind: "take" }>): void {
    const { lines } = this.#options;
    const { state } = lines;
    if (state === undefined) throw silent();
    if (!state.isReceiving) {
      // A late call: its lines may have changed or moved on since. An error, so that no sender removes what is not here.
      if (rows.length > 0) throw silent();
      return;
    }
    lines.take(rows.filter(({ name }) => shardOfLine(name, state.count) === state.number));
    if (isLast) lines.state = { ...state, isReceiving: false };
  }

  /** Ends this shard, unless it has a line or expects one. */
  #close(): void {
    const { lines } = this.#options;
    if (!lines.exists || !lines.isEmpty || lines.state?.isReceiving || lines.state?.moved !== undefined) return;
    this.#drop();
  }

  /** In shard 0: tells all others the number of shards. The new ones first, since the old ones send lines to them. */
  async #settleAll(): Promise<void> {
    const { lines } = this.#options;
    const { state } = lines;
    if (state?.isUnsettled !== true) return;
    const { keyPrefix, count, target = count } = state;
    const begin = (isReceiving: boolean) => (number: number) =>
      ({ kind: "begin", keyPrefix, number, count: target, isReceiving }) as const;
    if (target > count) {
      await this.#callAll(othersOf(count - 1, 1, target), begin(true));
      lines.state = { ...state, count: target, target: undefined, moved: SHARD_ROW, isDoubling: true };
    }
    const answers = await this.#callAll(othersOf(0, 1, target), begin(false));
    this.#hasBegun = true;
    const now = lines.state;
    if (now !== undefined && now.moved === undefined && answers.every(({ isDone }) => isDone)) {
      lines.state = { ...now, isUnsettled: false, isDoubling: false };
    }
  }

  /** Moves some lines, or ends the move when none is left. */
  async #step(): Promise<void> {
    const { lines } = this.#options;
    const { state } = lines;
    if (state?.moved === undefined) return;
    const { number, count, moved, sealed } = state;
    const target = number + count / 2;
    const names = lines.names(moved, { upTo: sealed, limit: MAX_A_STEP });
    const isWhole = names.length < MAX_A_STEP;
    const end = isWhole ? (sealed ?? names.at(-1)) : names.at(-1);
    if (end === undefined) {
      await this.#call(target, { kind: "take", lines: [], isLast: true });
      lines.state = { ...state, moved: undefined };
      return;
    }
    const foreign = names.filter((name) => shardOfLine(name, count) === target);
    if (foreign.length > 0) {
      if (sealed === undefined) lines.state = { ...state, sealed: end };
      await this.#call(target, { kind: "take", lines: lines.rows(foreign), isLast: false });
      lines.remove(foreign);
    }
    lines.state = { ...state, moved: end, sealed: sealed === end ? undefined : sealed };
  }

  async #unseal(): Promise<void> {
    while (this.#options.lines.state?.sealed !== undefined) await this.#step();
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #call(number: number, call: ShardCall): Promise<ShardAnswer> {
    return this.ask(number, (shard) => shard.indexShard(call));
  }

  #callAll(numbers: readonly number[], call: (number: number) => ShardCall): Promise<ShardAnswer[]> {
    return Promise.all(numbers.map((number) => this.#call(number, call(number))));
  }
}

/** A shard did not answer, or has ended. */
export function silent(cause?: unknown): CoordinationError {
  const text = "a shard of the index did not answer: try again";
  return new CoordinationError("backend_unavailable", text, { retryable: true, applied: "unknown", cause });
}
