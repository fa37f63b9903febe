import type {
  Coordinator,
  DrainOptions,
  DrainReport,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "../coordinator.js";
import type { ListPage } from "../core/kv.js";
import type { InputOf, OutputOf, TransitionName } from "../core/registry.js";
import { CoordinationError, withApplied } from "../errors.js";
import { newOp } from "../lib/ids.js";
import { checkId, checkInteger, checkText, checkTtlSec, MAX_ITEM_BYTES } from "../lib/validate.js";

/** What one call may carry. */
const MAX_BATCH = 10_000;

/** Workers open six connections at a time. */
const DELETES_AT_ONCE = 6;

/** How often a list is read from its beginning, since it was deleted and made anew between two pages. */
const MAX_RESTARTS = 10;

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
    return numberFrom(await this.run("kv.incr", key, { ...this.#write(), delta }));
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
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.sadd", key, { ...this.#write(), members }));
  }

  async srem(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.srem", key, { ...this.#write(), members }));
  }

  async scard(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.scard", key, {}));
  }

  async rpush(key: string, ...values: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(values, "values");
    if (values.length === 0) throw new CoordinationError("invalid_input", "values must hold at least one");
    return numberFrom(await this.run("kv.rpush", key, { ...this.#write(), values }));
  }

  async lrange(key: string): Promise<string[]> {
    checkId(key, "key");
    let values: string[] = [];
    let page: ListPage = {};
    for (let restarts = 0; restarts <= MAX_RESTARTS; ) {
      const { life, next: from = 0 } = page;
      page = await this.run("kv.lrange", key, life === undefined ? {} : { from, life });
      if (page.values === undefined) throw refusal(page.refused);
      // Pages of one life are one list: it only grows at its end.
      const goesOn = life === undefined || page.life === life;
      if (!goesOn) restarts++;
      values = goesOn ? values.concat(page.values) : page.values;
      if (page.next === undefined) return values;
    }
    const message = "the list was deleted and made anew while it was read";
    throw new CoordinationError("conflict", message, { retryable: true });
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
        if ((await this.run("kv.delete", key, { op: newOp() })).found) deleted++;
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, worker));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw deleted > 0 ? inDoubt(failed.reason) : failed.reason;
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

/** The failure of one call of several, others of which were applied. */
function inDoubt(error: unknown): unknown {
  return error instanceof CoordinationError ? withApplied(error, "unknown") : error;
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
