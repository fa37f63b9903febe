import { findTransition } from "../../core/registry.js";
import { CoordinationError } from "../../errors.js";
import type { WakingMachine } from "../../runtime/backend.js";
import { type DueLine, type DueQueue, PUT_OFF_MS } from "../../runtime/drain.js";
import type { DueRecord } from "./definition.js";
import { partsOfName } from "./names.js";

/** How many entries of the store's list one drain reads at most. */
const MAX_LINES = 20_000;

/** An entry of the store's due list. */
export interface StoreLine extends DueLine {
  readonly name: string;
}

/** Options of a `StoreDueQueue`. */
export interface StoreDueOptions {
  /** Records are due up to this time. */
  readonly nowMs: number;
  readonly random: () => number;
  /** The records that this process skips, each with the time until which it does. */
  readonly putOff: Map<string, number>;
  /** Reads the store's list. `malformed` counts the entries that name no record. */
  due(limit: number): Promise<{ readonly lines: readonly DueRecord[]; readonly malformed: number }>;
  /** Moves a record to a later time in the store's list, if the store can. */
  readonly putOffInStore?: (name: string, atMs: number) => Promise<void>;
  onFailure(error: unknown): void;
}

/**
 * The due list of a custom store. It has no cursor: each page asks for as many extra entries as were skipped. Concurrent
 * drains begin at different entries of a page. Their next page no longer lists what another drain has woken.
 */
export class StoreDueQueue implements DueQueue<StoreLine> {
  readonly #options: StoreDueOptions;
  readonly #taken = new Set<string>();
  /** The entries of the last page that the store returned. */
  #listed: readonly DueRecord[] = [];
  /** True: more records are due than the last page held. */
  #isCut = true;
  /** How many entries of the last page were skipped. */
  #passedBy = 0;
  #isTold = false;

  constructor(options: StoreDueOptions) {
    this.#options = options;
    for (const [name, untilMs] of options.putOff) if (untilMs <= options.nowMs) options.putOff.delete(name);
    this.#passedBy = options.putOff.size;
  }

  async take(count: number): Promise<StoreLine[] | undefined> {
    const { nowMs, random } = this.#options;
    if (!this.#isCut || this.#listed.length >= MAX_LINES) return undefined;
    // One more than needed, to see whether more entries are due.
    const asked = Math.min(count + this.#passedBy + 1, MAX_LINES);
    const { lines, malformed } = await this.#options.due(asked);
    const due = lines.filter(({ atMs }) => atMs <= nowMs);
    const fresh = due.filter((line) => this.#isFresh(line));
    const page = fresh.slice(0, count);
    this.#listed = lines;
    this.#passedBy = due.length - fresh.length + malformed;
    this.#isCut = fresh.length > page.length || (due.length === lines.length && lines.length + malformed >= asked);
    // The whole page was skipped, so many more such entries may follow.
    if (page.length === 0) this.#passedBy *= 2;
    if (malformed > 0) this.#tell("a line that is no { name, atMs }");
    const start = Math.floor(random() * page.length);
    const taken: StoreLine[] = [];
    const strange: string[] = [];
    for (const record of [...page.slice(start), ...page.slice(0, start)]) {
      this.#taken.add(record.name);
      const line = this.#read(record);
      if (line === undefined) strange.push(record.name);
      else taken.push(line);
    }
    await Promise.all(strange.map((name) => this.#putOff(name)));
    return taken;
  }

  putOff({ name }: StoreLine): Promise<void> {
    return this.#putOff(name);
  }

  giveBack(lines: readonly StoreLine[]): void {
    for (const { name } of lines) this.#taken.delete(name);
  }

  outlook(): { isDue: boolean; nextDueAtMs: number | undefined } {
    const { nowMs } = this.#options;
    const instants = this.#listed.filter((line) => this.#isFresh(line)).map(({ atMs }) => atMs);
    const nextDueAtMs = instants.length === 0 ? undefined : Math.min(...instants);
    return { isDue: this.#isCut || (nextDueAtMs ?? nowMs + 1) <= nowMs, nextDueAtMs };
  }

  #isFresh({ name }: DueRecord): boolean {
    return !this.#taken.has(name) && !this.#options.putOff.has(name);
  }

  /** Returns `undefined` for a record that this version cannot wake. */
  #read({ name, atMs }: DueRecord): StoreLine | undefined {
    const parts = partsOfName(name);
    if (parts === undefined) this.#tell("a name that it was never given");
    // Another version of the library may have this machine. Its drains see the record later.
    if (parts === undefined || findTransition(`${parts.machine}.woken`) === undefined) return undefined;
    return { name, atMs, machine: parts.machine as WakingMachine, id: parts.id };
  }

  async #putOff(name: string): Promise<void> {
    const { nowMs, putOff, putOffInStore, onFailure } = this.#options;
    const atMs = nowMs + PUT_OFF_MS;
    try {
      if (putOffInStore !== undefined) return await putOffInStore(name, atMs);
    } catch (error) {
      onFailure(error);
    }
    if (putOff.size < MAX_LINES) putOff.set(name, atMs);
  }

  /** Reports at most once a drain. */
  #tell(what: string): void {
    if (!this.#isTold)
      this.#options.onFailure(new CoordinationError("backend_rejected", `due of defineBackend returned ${what}`));
    this.#isTold = true;
  }
}
