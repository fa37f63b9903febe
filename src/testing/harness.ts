import type { Coordinator } from "../coordinator.js";
import type { GroupStatus } from "../delivery/group-status.js";
import { CompletionTracker } from "../trackers/completion.js";
import type { CompletionTrackerOptions } from "../trackers/group/settings.js";
import { ConformanceFailure, present } from "./assert.js";
import { settle } from "./manual-clock.js";
import { type CasePayloads, caseHandlers, type RecordedDelivery } from "./recording.js";

/**
 * Features that a case may need beyond the contract's calls.
 *
 * - `clock`: `advance` moves the backend's clock.
 * - `handlers`: durable callbacks to handlers, wherever they run.
 * - `drainer`: handlers run in this process, and a client may take the steps of a drainer itself.
 * - `plain_functions`: plain functions as callbacks.
 * - `large_records`: a record of more than a megabyte.
 * - `index`: `list`, for a backend that keeps an index.
 * - `stalled`: a client whose calls may never be answered.
 */
export type Capability = "clock" | "handlers" | "drainer" | "plain_functions" | "large_records" | "index" | "stalled";

/** One backend under test. Make a new harness for every case, or share one: each case uses its own ids. */
export interface Harness {
  /** Returns a client of the shared state, like that of another instance. */
  coordinator(): Coordinator;
  /** Moves the backend's clock, and runs all due wake-ups to their end. 0: only runs the wake-ups. */
  advance(ms: number): Promise<void>;
  /** For handlers that run inside the backend: returns what `caseHandlers` recorded there for this group, in order. */
  deliveries?(groupId: string): Promise<readonly RecordedDelivery[]>;
  /** Returns a client of a backend that accepts every call and never answers. */
  stalled?(): Coordinator;
  /** The features that this backend lacks, each with the reason. Cases that need it are skipped with that reason. */
  readonly lacks?: Readonly<Partial<Record<Capability, string>>>;
}

/** How a case moves the clock while it waits for a delivery. */
export interface Steps {
  /** How far the clock moves between two reads, in milliseconds. Default 0. */
  readonly stepMs?: number;
  /** How many times. Default 60. */
  readonly steps?: number;
}

/** A backend may deliver in real time: a case waits at least this long before it fails. */
const PATIENCE_MS = 10_000;

/** The test context of a case: its harness, and helpers for all cases. */
export class Bench {
  readonly harness: Harness;
  readonly #log: RecordedDelivery[] = [];
  readonly #run = crypto.randomUUID().slice(0, 8);

  constructor(harness: Harness) {
    this.harness = harness;
  }

  /** Returns an id that no other case uses. */
  id(label = "group"): string {
    return `${label}-${this.#run}`;
  }

  coordinator(): Coordinator {
    return this.harness.coordinator();
  }

  /** Returns a tracker on a new client. It has the cases' handlers where these run in this process. */
  tracker(
    options: Partial<CompletionTrackerOptions<CasePayloads, unknown>> & { readonly on?: Coordinator } = {},
  ): CompletionTracker<CasePayloads> {
    const { on = this.coordinator(), ...rest } = options;
    const isHere = this.harness.deliveries === undefined && this.harness.lacks?.handlers === undefined;
    const handlers = isHere ? { handlers: caseHandlers((delivery) => void this.#log.push(delivery)) } : {};
    return new CompletionTracker<CasePayloads>(on, { ...handlers, waitUntil: () => {}, onEvent: () => {}, ...rest });
  }

  /** Returns a tracker that delivers nothing, like an instance without the handlers. */
  bareTracker(on: Coordinator = this.coordinator()): CompletionTracker<CasePayloads> {
    return new CompletionTracker<CasePayloads>(on, { waitUntil: () => {}, onEvent: () => {} });
  }

  advance(ms: number): Promise<void> {
    return this.harness.advance(ms);
  }

  async deliveries(groupId: string): Promise<readonly RecordedDelivery[]> {
    if (this.harness.deliveries !== undefined) return this.harness.deliveries(groupId);
    return this.#log.filter((delivery) => delivery.groupId === groupId);
  }

  /**
   * Returns the group's status once its delivery has this state.
   *
   * @param options.reader the tracker that reads the status. A reader may run due work, like any instance. Default: a tracker
   * on a new client.
   */
  async untilDelivery(
    groupId: string,
    state: GroupStatus["delivery"]["state"],
    options: Steps & { readonly reader?: CompletionTracker<CasePayloads> } = {},
  ): Promise<GroupStatus> {
    const { reader = this.bareTracker(), ...steps } = options;
    let status: GroupStatus | null = null;
    const isReached = async (): Promise<boolean> => {
      status = await reader.status(groupId);
      return status?.delivery.state === state;
    };
    if (await this.#until(isReached, steps)) return present<GroupStatus>(status, "the group");
    const { delivery } = present<GroupStatus>(status, "the group");
    throw new ConformanceFailure(`the delivery did not become ${state}: ${JSON.stringify(delivery)}`);
  }

  /** Returns the group's deliveries once there are at least `count`. */
  async untilDelivered(groupId: string, count: number, steps: Steps = {}): Promise<readonly RecordedDelivery[]> {
    let seen: readonly RecordedDelivery[] = [];
    const isReached = async (): Promise<boolean> => {
      seen = await this.deliveries(groupId);
      return seen.length >= count;
    };
    if (await this.#until(isReached, steps)) return seen;
    throw new ConformanceFailure(`expected ${count} deliveries, got ${seen.length}`);
  }

  /** Moves the clock step by step until the condition holds. Then waits in real time, for backends that deliver by themselves. */
  async #until(isReached: () => Promise<boolean>, { stepMs = 0, steps = 60 }: Steps): Promise<boolean> {
    const stopAtMs = Date.now() + PATIENCE_MS;
    for (let step = 0; step < steps || Date.now() < stopAtMs; step++) {
      await this.advance(step === 0 || step >= steps ? 0 : stepMs);
      if (await isReached()) return true;
      await settle(2);
    }
    return false;
  }
}

/** One promise of the contract, and its test. */
export interface ConformanceCase {
  readonly name: string;
  /** The row of the fault table that the case covers. */
  readonly row?: number;
  readonly needs: readonly Capability[];
  /** Returns why the case cannot run on this harness; `undefined` when it can. */
  whyNot(harness: Harness): string | undefined;
  /** Rejects when the backend does not keep the promise. */
  run(harness: Harness): Promise<void>;
}

export interface CaseOptions {
  readonly row?: number;
  readonly needs?: readonly Capability[];
}

/** Defines a case. */
export function aCase(name: string, options: CaseOptions, run: (t: Bench) => Promise<void>): ConformanceCase {
  const { row, needs = [] } = options;
  return {
    name,
    ...(row === undefined ? {} : { row }),
    needs,
    whyNot: (harness) => needs.map((need) => lack(harness, need)).find((reason) => reason !== undefined),
    run: (harness) => run(new Bench(harness)),
  };
}

function lack(harness: Harness, need: Capability): string | undefined {
  const isMissing = need === "stalled" && harness.stalled === undefined;
  return harness.lacks?.[need] ?? (isMissing ? "the harness makes no client of a backend that has stalled" : undefined);
}
