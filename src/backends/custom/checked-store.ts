import { CoordinationError } from "../../errors.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import type { BackendDefinition, DueRecord, ListedName, NextRecord, StoreListQuery } from "./definition.js";
import { RecordText } from "./record.js";

/** A record as it was read, and the current time for the transition. */
export interface Seen {
  readonly nowMs: number;
  readonly record: StoredRecord | undefined;
}

export interface StoredRecord {
  readonly version: string;
  readonly data: string;
  /** Names the write that stored this record. */
  readonly stamp: string | undefined;
}

/** The definition's functions, with every return value checked. They reject with `CoordinationError` alone. */
export class CheckedStore {
  readonly #definition: BackendDefinition;
  readonly #clock: Clock;

  constructor(definition: BackendDefinition) {
    this.#definition = definition;
    this.#clock = definition.clock ?? systemClock;
  }

  async read(name: string, signal: AbortSignal): Promise<Seen> {
    // Concurrently when `now` is remote. This machine's clock is read after the load instead.
    const [reply, askedMs] = await Promise.all([
      called("load", "no", () => this.#definition.load(name, { signal })),
      this.#definition.now === undefined ? undefined : this.now(signal),
    ]);
    const nowMs = askedMs ?? (await this.now(signal));
    if (reply === null) return { nowMs, record: undefined };
    const { version, data } = Object(reply) as { version?: unknown; data?: unknown };
    if (typeof version !== "string" || typeof data !== "string") throw strange("load", "{ version, data } or null");
    return { nowMs, record: { version, data, stamp: RecordText.parse(data).stamp } };
  }

  /** A rejection means that the write may have been applied, unless its `applied` is "no". */
  async compareAndSet(
    name: string,
    version: string | null,
    next: NextRecord | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    const call = () => this.#definition.compareAndSet(name, version, next, { signal });
    const isSet: unknown = await called("compareAndSet", "unknown", call);
    if (typeof isSet !== "boolean") throw strange("compareAndSet", "true or false", "unknown");
    return isSet;
  }

  async now(signal: AbortSignal): Promise<number> {
    const { now } = this.#definition;
    const ms =
      now === undefined ? this.#clock.now() : await called("now", "no", () => this.#definition.now?.({ signal }));
    if (typeof ms !== "number" || !Number.isFinite(ms)) throw strange("now", "milliseconds since 1970");
    return Math.floor(ms);
  }

  /** Returns the records of the due list, and how many entries are malformed. A malformed entry does not hide the others. */
  async due(limit: number, signal: AbortSignal): Promise<{ lines: readonly DueRecord[]; malformed: number }> {
    const reply: unknown = await called("due", "no", () => this.#definition.due?.(limit, { signal }));
    if (!Array.isArray(reply)) throw strange("due", "a list of { name, atMs }");
    const lines = reply.filter(isDueRecord);
    return { lines, malformed: reply.length - lines.length };
  }

  async list(query: StoreListQuery, signal: AbortSignal): Promise<readonly ListedName[]> {
    const reply: unknown = await called("list", "no", () => this.#definition.list?.(query, { signal }));
    if (!Array.isArray(reply) || !reply.every(isDueRecord)) throw strange("list", "a list of { name, atMs }");
    return reply;
  }

  get canPutOff(): boolean {
    return this.#definition.putOff !== undefined;
  }

  async putOff(name: string, atMs: number, signal: AbortSignal): Promise<void> {
    await called("putOff", "unknown", () => this.#definition.putOff?.(name, atMs, { signal }));
  }

  async sweep(nowMs: number, signal: AbortSignal): Promise<void> {
    await called("sweep", "no", () => this.#definition.sweep?.(nowMs, { signal }));
  }
}

async function called<T>(what: string, applied: "no" | "unknown", call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof CoordinationError) throw cause;
    const options = { retryable: true, applied, cause };
    throw new CoordinationError("backend_unavailable", `the backend's ${what} failed`, options);
  }
}

function isDueRecord(line: unknown): line is DueRecord {
  const { name, atMs } = Object(line) as Partial<DueRecord>;
  return typeof name === "string" && typeof atMs === "number" && Number.isFinite(atMs);
}

function strange(what: string, wanted: string, applied: "no" | "unknown" = "no"): CoordinationError {
  return new CoordinationError("backend_rejected", `the backend's ${what} must give ${wanted}`, { applied });
}
