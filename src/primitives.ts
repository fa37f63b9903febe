import type {
  Coordinator,
  DrainOptions,
  DrainReport,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "./coordinator.js";
import { CoordinationError } from "./errors.js";
import type { InputOf, OutputOf, TransitionName } from "./machines/index.js";
import { newOp } from "./op.js";
import { checkId, checkInteger, checkText, checkTtlSec, MAX_ITEM_BYTES } from "./validate.js";

/** What one call may carry. */
const MAX_BATCH = 10_000;

/** Workers open six connections at a time. */
const DELETES_AT_ONCE = 6;

const WRITE: RunOptions = { resend: false };

interface KeyReply {
  readonly result?: string;
  readonly refused?: "wrong_kind" | "out_of_range" | "full";
}

/** The raw keys of every backend, over its `run`. A backend extends it and adds the rest of the contract. */
export abstract class Primitives implements Coordinator {
  abstract readonly isDistributed: boolean;
  abstract readonly defaultTtlSec: number;

  abstract run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>>;

  abstract watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>>;

  abstract onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void;

  drain?(options?: DrainOptions): Promise<DrainReport>;

  async incr(key: string, delta = 1): Promise<number> {
    checkId(key, "key");
    checkInteger(delta, "delta", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    return numberFrom(await this.run("kv.incr", key, { ...this.#write(), delta }, WRITE));
  }

  async getInt(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.getInt", key, {}));
  }

  async setIfAbsent(key: string, ttlSec: number): Promise<boolean> {
    checkId(key, "key");
    const ttlMs = checkTtlSec(ttlSec, "ttlSec");
    return (await this.run("kv.setIfAbsent", key, { op: newOp(), ttlMs })).set;
  }

  async sadd(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.sadd", key, { ...this.#write(), members }, WRITE));
  }

  async srem(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.srem", key, { ...this.#write(), members }, WRITE));
  }

  async scard(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.scard", key, {}));
  }

  async rpush(key: string, ...values: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(values, "values");
    if (values.length === 0) throw new CoordinationError("invalid_input", "values must hold at least one");
    return numberFrom(await this.run("kv.rpush", key, { ...this.#write(), values }, WRITE));
  }

  async lrange(key: string): Promise<string[]> {
    checkId(key, "key");
    const { values, refused } = await this.run("kv.lrange", key, {});
    if (values === undefined) throw refusal(refused);
    return values;
  }

  async expire(key: string, ttlSec: number): Promise<boolean> {
    checkId(key, "key");
    return (await this.run("kv.expire", key, { ttlMs: checkTtlSec(ttlSec, "ttlSec") })).found;
  }

  async delete(...keys: string[]): Promise<number> {
    if (keys.length > MAX_BATCH) throw new CoordinationError("invalid_input", `keys must hold at most ${MAX_BATCH}`);
    for (const [i, key] of keys.entries()) checkId(key, `keys[${i}]`);
    const left = new Set(keys).values();
    let deleted = 0;
    const worker = async (): Promise<void> => {
      for (const key of left) {
        if ((await this.run("kv.delete", key, {}, WRITE)).found) deleted++;
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, worker));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw deleted > 0 ? partly(failed.reason) : failed.reason;
    return deleted;
  }

  #write(): { op: string; ttlMs: number } {
    return { op: newOp(), ttlMs: Math.round(this.defaultTtlSec * 1000) };
  }
}

function checkTexts(values: readonly string[], field: string): void {
  if (values.length > MAX_BATCH) {
    throw new CoordinationError("invalid_input", `${field} must hold at most ${MAX_BATCH}`);
  }
  for (const [i, value] of values.entries()) checkText(value, `${field}[${i}]`, MAX_ITEM_BYTES);
}

/** A failure of one call of several, of which others have landed. */
function partly(error: unknown): unknown {
  if (!(error instanceof CoordinationError)) return error;
  const { code, message, retryable, retryAfterMs } = error;
  return new CoordinationError(code, message, { retryable, retryAfterMs, applied: "unknown" });
}

function numberFrom(reply: KeyReply): number {
  if (reply.result === undefined) throw refusal(reply.refused);
  return Number(reply.result);
}

function refusal(refused: KeyReply["refused"]): CoordinationError {
  if (refused === "wrong_kind") return new CoordinationError("conflict", "the key holds another kind of value");
  if (refused === "out_of_range") {
    return new CoordinationError("limit_exceeded", "the sum would leave the range of safe integers");
  }
  return new CoordinationError("limit_exceeded", "the key holds as many entries as one may");
}
