/** One key's versions: of many only the newest that was sent counts. */
export class VersionsModel {
  readonly #ttlMs: number;
  /** What every version was issued by, while the key is remembered. */
  readonly #byOp = new Map<string, number>();
  /** All that were ever issued. */
  readonly issued: number[] = [];
  #newest = 0;
  #sent = 0;
  #untilMs = 0;

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  tick(nowMs: number): boolean {
    if (this.#untilMs === 0 || this.#untilMs > nowMs) return false;
    this.#newest = this.#sent = this.#untilMs = 0;
    this.#byOp.clear();
    return true;
  }

  /** The version that a late copy of this call gets; `undefined` for a new call, which gets a new version. */
  issuedBy(op: string): number | undefined {
    return this.#byOp.get(op);
  }

  issue(op: string, version: number, isHeld: boolean, nowMs: number): void {
    this.#byOp.set(op, version);
    this.issued.push(version);
    this.#newest = version;
    if (!isHeld) this.#sent = version;
    this.#untilMs = nowMs + this.#ttlMs;
  }

  /** A receiver has seen the version, so that it was sent. Returns whether it is stale. */
  see(version: number, nowMs: number): boolean {
    if (version > this.#sent && version <= this.#newest) {
      this.#sent = version;
      this.#untilMs = nowMs + this.#ttlMs;
    }
    return version < this.#sent;
  }
}

/** One key's claim. */
export class ClaimModel {
  readonly #windowMs: number;
  #holder: string | undefined;
  /** The calls that are over. */
  readonly #over = new Set<string>();
  #untilMs = 0;
  /** What a run has done with the key; undefined: a claim holds it. */
  #run: "running" | "done" | undefined;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  get isDone(): boolean {
    return this.#run === "done";
  }

  /** Whether a run may begin. */
  begin(op: string, nowMs: number): boolean {
    if (this.#holder !== undefined) return false;
    this.claim(op, nowMs);
    this.#run = "running";
    return true;
  }

  finish(): void {
    this.#run = "done";
  }

  tick(nowMs: number): boolean {
    if (this.#untilMs === 0 || this.#untilMs > nowMs) return false;
    this.#holder = undefined;
    this.#run = undefined;
    this.#untilMs = 0;
    this.#over.clear();
    return true;
  }

  claim(op: string, nowMs: number): boolean {
    if (this.#over.has(op)) return true;
    if (this.#holder !== undefined) return this.#holder === op;
    this.#holder = op;
    this.#untilMs = nowMs + this.#windowMs;
    return true;
  }

  release(op: string): boolean {
    if (this.#over.has(op)) return true;
    if (this.#holder === undefined || this.#run !== undefined) return false;
    this.#over.add(op);
    this.#over.add(this.#holder);
    this.#holder = undefined;
    return true;
  }

  /** The work of a run has thrown: the key is free again. */
  fail(op: string): void {
    if (this.#holder !== op) return;
    this.#over.add(op);
    this.#holder = undefined;
    this.#run = undefined;
  }
}

export interface StatsCounts {
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
}

/** The counts of a namespace, the id that was not merged for longest first. */
export class StatsModel {
  readonly #maxTracked: number;
  readonly #ttlMs: number;
  readonly #ids = new Map<string, StatsCounts & { readonly untilMs: number }>();
  /** What each call of the last minute was told. */
  readonly #told = new Map<string, StatsCounts | undefined>();
  evicted = 0;

  constructor(maxTracked: number, ttlMs: number) {
    this.#maxTracked = maxTracked;
    this.#ttlMs = ttlMs;
  }

  get ids(): readonly string[] {
    return [...this.#ids.keys()];
  }

  tick(nowMs: number): boolean {
    let isOver = false;
    for (const [id, { untilMs }] of this.#ids) {
      if (untilMs <= nowMs) isOver = this.#ids.delete(id);
    }
    return isOver;
  }

  merge(op: string, id: string, added: StatsCounts, nowMs: number): void {
    if (this.#told.has(op)) return;
    this.#told.set(op, undefined);
    const before = this.#ids.get(id) ?? { processed: 0, requeueCount: 0, errorCount: 0 };
    this.#ids.delete(id);
    for (const oldest of this.#ids.keys()) {
      if (this.#ids.size < this.#maxTracked) break;
      this.#ids.delete(oldest);
      this.evicted++;
    }
    this.#ids.set(id, {
      processed: before.processed + added.processed,
      requeueCount: before.requeueCount + added.requeueCount,
      errorCount: before.errorCount + added.errorCount,
      untilMs: nowMs + this.#ttlMs,
    });
  }

  consume(op: string, id: string): StatsCounts | null {
    const told = this.#told.get(op);
    if (told !== undefined) return told;
    const found = this.#ids.get(id);
    if (found === undefined) return null;
    const { untilMs: _, ...counts } = found;
    this.#ids.delete(id);
    this.#told.set(op, counts);
    return counts;
  }
}
