import { CoordinationError } from "../../errors.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import type { BackendDefinition, DueRecord, NextRecord } from "./definition.js";
import { RecordText } from "./record.js";

/** A record as it was read, and the time at which it is judged. */
export interface Seen {
  readonly nowMs: number;
  readonly record: StoredRecord | undefined;
}

export interface StoredRecord {
  readonly version: string;
  readonly data: string;
  /** The write that made it. */
  readonly stamp: string | undefined;
}

/** The definition's functions, none of whose answers is taken on trust. They reject with `CoordinationError` alone. */
export class CheckedStore {
  readonly #definition: BackendDefinition;
  readonly #clock: Clock;

  constructor(definition: BackendDefinition) {
    this.#definition = definition;
    this.#clock = definition.clock ?? systemClock;
  }

  async read(name: string, signal: AbortSignal): Promise<Seen> {
    // Side by side where the time comes from afar; the time of this machine is taken last.
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

  /** Whatever it rejects with, unless `applied` is "no", the write may have landed. */
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

  /** What wants to be woken, and how many lines are none: one that is malformed must not hide the others. */
  async due(limit: number, signal: AbortSignal): Promise<{ lines: readonly DueRecord[]; malformed: number }> {
    const reply: unknown = await called("due", "no", () => this.#definition.due?.(limit, { signal }));
    if (!Array.isArray(reply)) throw strange("due", "a list of { name, atMs }");
    const lines = reply.filter(isDueRecord);
    return { lines, malformed: reply.length - lines.length };
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
