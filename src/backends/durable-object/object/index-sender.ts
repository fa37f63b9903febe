import { CoordinationError } from "../../../errors.js";
import { recordName } from "../../../runtime/placement.js";
import { outputOf } from "../object-calls.js";
import type { ObjectNamespace } from "../options.js";
import { type IndexAnswer, type IndexMessage, indexTag, type ObjectMethods } from "../protocol.js";
import { shardOfLine } from "./shard-map.js";

/** How often a message is sent on. Half as many are enough, unless the index ends or doubles meanwhile. */
const MAX_HOPS = 8;
/** An isolate remembers the number of shards for so many key prefixes. */
const MAX_HINTS = 1_000;

/**
 * How many shards the indexes have, by key prefix, for each `env`: the objects of an isolate share it. Without it the first
 * message of every new group would go to shard 0. A wrong number costs calls, and nothing else.
 */
const HINTS = new WeakMap<object, Map<string, number>>();

/** Returns the stub of a shard of an index. */
export function shardStub(namespace: ObjectNamespace, keyPrefix: string, shard: number): ObjectMethods {
  return namespace.get(namespace.idFromName(keyPrefix + indexTag(shard))) as ObjectMethods;
}

export interface IndexSenderOptions {
  /** The `env` of the object. */
  readonly env: unknown;
  namespace(): ObjectNamespace;
  keyPrefix(): string;
}

/** Sends lines to the shards of an index. */
export class IndexSender {
  readonly #options: IndexSenderOptions;
  readonly #hints: Map<string, number>;

  constructor(options: IndexSenderOptions) {
    this.#options = options;
    const key = Object(options.env);
    this.#hints = HINTS.get(key) ?? new Map();
    HINTS.set(key, this.#hints);
  }

  /**
   * Sends a line to the shard that it belongs to. Returns when the line that the shard has now was sent.
   *
   * @throws {CoordinationError} `backend_unavailable` while the shards disagree. `limit_exceeded` when the index is full.
   */
  async send(line: IndexMessage): Promise<number> {
    const keyPrefix = this.#options.keyPrefix();
    const namespace = this.#options.namespace();
    let from: number | undefined;
    let shard = shardOfLine(recordName(line.machine, line.id), this.#hints.get(keyPrefix) ?? 1);
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const stub = shardStub(namespace, keyPrefix, shard);
      const told = outputOf<IndexAnswer>(await stub.indexLine({ ...line, keyPrefix, shard, from }));
      // An object of an earlier version does not count.
      this.#learn(keyPrefix, told.count ?? 1);
      if (told.shard === undefined) return told.sentAtMs;
      [from, shard] = [shard, told.shard];
    }
    const text = "the shards of the index are changing: the object tells it again";
    throw new CoordinationError("backend_unavailable", text, { retryable: true, applied: "no" });
  }

  #learn(keyPrefix: string, count: number): void {
    this.#hints.delete(keyPrefix);
    if (count === 1) return;
    if (this.#hints.size >= MAX_HINTS) this.#hints.clear();
    this.#hints.set(keyPrefix, count);
  }
}
