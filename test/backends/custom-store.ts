import type {
  BackendDefinition,
  DueRecord,
  ListedName,
  NextRecord,
  StoreListQuery,
} from "../../src/backends/custom/definition.js";
import { seededRandom } from "../../src/testing/index.js";

export type StoreCall = "load" | "compareAndSet" | "remove" | "due" | "sweep" | "list";

type Fault = (call: StoreCall, name: string, store: VersionedStore) => void | Promise<void>;

/** What a call of the store meets on its way there and on its way back. */
export interface Faults {
  /** Before the store does anything; what it throws is a call that never came. */
  readonly before?: Fault;
  /** After the store has done it; what it throws is a reply that was lost. */
  readonly after?: Fault;
}

/** The store that a backend's author has at home: versioned texts, each call atomic and some way off. */
export class VersionedStore {
  readonly records = new Map<string, NextRecord>();
  readonly calls: StoreCall[] = [];
  /** How many `compareAndSet` lost against another. */
  conflicts = 0;
  faults: Faults;

  constructor(faults: Faults = {}) {
    this.faults = faults;
  }

  count(call: StoreCall): number {
    return this.calls.filter((one) => one === call).length;
  }

  /** What `defineBackend` needs of it. */
  get definition() {
    return {
      load: (name) => this.#call("load", name, () => this.records.get(name) ?? null),
      compareAndSet: (name, version, next) => {
        const set = () => this.#compareAndSet(name, version, next);
        return this.#call(next === null ? "remove" : "compareAndSet", name, set);
      },
      due: (limit) => this.#call("due", "", () => this.#due(limit)),
      list: (query) => this.#call("list", "", () => this.#list(query)),
      sweep: (nowMs) => this.#call("sweep", "", () => this.#sweep(nowMs)),
    } satisfies BackendDefinition;
  }

  /** Another's write, which changes nothing but the version. */
  touch(name: string): void {
    const record = this.records.get(name);
    if (record !== undefined) this.records.set(name, { ...record, version: crypto.randomUUID() });
  }

  async #call<T>(call: StoreCall, name: string, work: () => T): Promise<T> {
    this.calls.push(call);
    await this.faults.before?.(call, name, this);
    const reply = work();
    await this.faults.after?.(call, name, this);
    return reply;
  }

  #compareAndSet(name: string, version: string | null, next: NextRecord | null): boolean {
    if ((this.records.get(name)?.version ?? null) !== version) {
      this.conflicts++;
      return false;
    }
    if (next === null) this.records.delete(name);
    else this.records.set(name, next);
    return true;
  }

  #due(limit: number): DueRecord[] {
    return [...this.records]
      .flatMap(([name, { wakeAtMs }]) => (wakeAtMs === null ? [] : [{ name, atMs: wakeAtMs }]))
      .sort((a, b) => a.atMs - b.atMs)
      .slice(0, limit);
  }

  #list({ lists, order, maxAtMs, after, limit }: StoreListQuery): ListedName[] {
    const compare = (a: ListedName, b: ListedName): number => {
      const ascending = a.atMs - b.atMs || (a.name < b.name ? -1 : Number(a.name > b.name));
      return order === "oldest" ? ascending : -ascending;
    };
    return [...this.records]
      .flatMap(([name, { list, listedAtMs }]) => (lists.includes(list ?? "") ? [{ name, atMs: listedAtMs ?? 0 }] : []))
      .filter((line) => line.atMs <= maxAtMs && (after === null || compare(line, after) > 0))
      .sort(compare)
      .slice(0, limit);
  }

  #sweep(nowMs: number): void {
    for (const [name, { expiresAtMs }] of this.records) {
      if (expiresAtMs !== null && expiresAtMs <= nowMs) this.records.delete(name);
    }
  }
}

/** Some turns of the event loop, none to three, so that calls overtake each other. */
export function gaps(seed: number): () => Promise<void> {
  const random = seededRandom(seed);
  return async () => {
    for (let i = Math.floor(random() * 4); i > 0; i--) await new Promise((resolve) => setImmediate(resolve));
  };
}
