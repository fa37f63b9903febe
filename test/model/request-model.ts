/** The answer to a call about a request. */
export interface Told {
  readonly verdict: "accepted" | "duplicate" | "early" | "late" | "sealed" | "unknown";
  readonly state: "pending" | "complete" | "unknown";
}

export interface Root {
  readonly stage: string;
  readonly rootId: string;
}

interface Counts {
  processed: number;
  requeueCount: number;
  errorCount: number;
  readonly errors: { readonly message: string }[];
}

/** What a mark brings. */
interface Done {
  readonly processed: number;
  readonly error?: string;
  readonly next: readonly Root[];
}

interface Life {
  readonly roots: Set<string>;
  /** The marked ones, registered or not, with what the mark of each brings. */
  readonly marks: Map<string, Done>;
  readonly stages: Map<string, Counts>;
  isSealed: boolean;
  /** The calls that have registered it, and have not abandoned it. */
  readonly callers: Set<string>;
  isAbandoned: boolean;
  /** It was cleaned up, at this instant. */
  cleanedAtMs: number | undefined;
  writtenAtMs: number;
}

const UNKNOWN: Told = { verdict: "unknown", state: "unknown" };
const CLEANED_MS = 60_000;
const MAX_CALLERS = 16;

/** One request's id, as the documents promise it to behave. */
export class RequestModel {
  readonly #stages: readonly string[];
  readonly #ttlMs: number;
  /** What each call that changed something was told, and in which life. */
  readonly #told = new Map<string, { readonly life: Life; readonly verdict: Told["verdict"] }>();
  #life: Life | undefined;
  #nowMs = 0;
  /** A caller waits for it, so that it does not expire. */
  waiting = 0;
  /** How often something has changed. */
  changes = 0;

  constructor(stages: readonly string[], ttlMs: number) {
    this.#stages = stages;
    this.#ttlMs = ttlMs;
  }

  get state(): Told["state"] {
    const life = this.#standing;
    return life === undefined ? "unknown" : this.#stateOf(life);
  }

  get openRoots(): readonly Root[] {
    const life = this.#life;
    const isOver = life === undefined || life.isAbandoned;
    const names = isOver ? [] : [...life.roots].filter((root) => !life.marks.has(root));
    return names.map(rootOf);
  }

  /** The life that every call but a wait finds. */
  get #standing(): Life | undefined {
    return this.#life?.cleanedAtMs === undefined ? this.#life : undefined;
  }

  /** A caller follows it, and so keeps it while it is pending. */
  follow(): void {
    const life = this.#standing;
    if (life !== undefined && this.#stateOf(life) === "pending") life.writtenAtMs = this.#nowMs;
  }

  /** Time goes on; returns whether the record went with it. */
  tick(nowMs: number): boolean {
    this.#nowMs = nowMs;
    const life = this.#life;
    if (life === undefined) return false;
    const { cleanedAtMs, writtenAtMs } = life;
    if (cleanedAtMs === undefined && this.waiting > 0 && this.#stateOf(life) === "pending") life.writtenAtMs = nowMs;
    else if (nowMs >= (cleanedAtMs === undefined ? writtenAtMs + this.#ttlMs : cleanedAtMs + CLEANED_MS)) {
      this.#life = undefined;
      this.#told.clear();
      return cleanedAtMs === undefined;
    }
    return false;
  }

  register(op: string): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const standing = this.#standing;
    if (standing !== undefined && !standing.isAbandoned) return this.#joined(standing, op);
    const stages = new Map(this.#stages.map((stage) => [stage, emptyCounts()]));
    this.#life = {
      roots: new Set(),
      marks: new Map(),
      stages,
      isSealed: false,
      callers: new Set([op]),
      isAbandoned: false,
      cleanedAtMs: undefined,
      writtenAtMs: 0,
    };
    return this.#changed(op, "accepted");
  }

  /** Another caller: the request changes in nothing that a reader sees. */
  #joined(life: Life, op: string): Told {
    if (!life.isSealed && life.callers.size <= MAX_CALLERS) {
      life.callers.add(life.callers.size === MAX_CALLERS ? "one too many" : op);
      this.#told.set(op, { life, verdict: "duplicate" });
    }
    return { verdict: "duplicate", state: this.state };
  }

  abandon(op: string, caller: string, stage: string, error: string): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const life = this.#standing;
    if (life === undefined) return UNKNOWN;
    if (life.isSealed) return { verdict: "late", state: this.state };
    if (!life.callers.delete(caller)) return { verdict: "duplicate", state: this.state };
    if (life.callers.size > 0) {
      this.#told.set(op, { life, verdict: "duplicate" });
      return { verdict: "duplicate", state: this.state };
    }
    this.#count(life, stage, { error });
    life.isSealed = true;
    life.isAbandoned = true;
    return this.#changed(op, "accepted");
  }

  registerRoots(op: string, stage: string, rootIds: readonly string[]): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const life = this.#standing;
    if (life === undefined) return UNKNOWN;
    const added = rootIds.map((rootId) => nameOf({ stage, rootId })).filter((root) => !life.roots.has(root));
    if (added.length === 0) return { verdict: "duplicate", state: this.state };
    if (life.isSealed) return { verdict: this.#isFinal(life) ? "late" : "sealed", state: this.state };
    for (const root of added) this.#add(life, root);
    return this.#changed(op, "accepted");
  }

  /** Registers a root; one that was marked brings now what its mark has. */
  #add(life: Life, root: string): void {
    if (life.roots.has(root)) return;
    life.roots.add(root);
    const done = life.marks.get(root);
    if (done !== undefined) this.#close(life, root, done);
  }

  #close(life: Life, root: string, done: Done): void {
    this.#count(life, rootOf(root).stage, done);
    for (const next of done.next) this.#add(life, nameOf(next));
  }

  seal(op: string): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const life = this.#standing;
    if (life === undefined) return UNKNOWN;
    if (life.isSealed) return { verdict: "duplicate", state: this.state };
    life.isSealed = true;
    return this.#changed(op, "accepted");
  }

  /** Marks a root as done, or as failed with an error. */
  mark(op: string, root: Root, done: Done): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const life = this.#standing;
    if (life === undefined) return UNKNOWN;
    const name = nameOf(root);
    if (life.marks.has(name)) return { verdict: "duplicate", state: this.state };
    if (this.#isFinal(life)) return { verdict: "late", state: "complete" };
    life.marks.set(name, done);
    if (!life.roots.has(name)) return this.#changed(op, "early");
    this.#close(life, name, done);
    return this.#changed(op, "accepted");
  }

  record(
    op: string,
    stage: string,
    added: { readonly processed?: number; readonly requeued?: number; readonly error?: string },
  ): Told {
    const again = this.#again(op);
    if (again !== undefined) return again;
    const life = this.#standing;
    if (life === undefined) return UNKNOWN;
    if (this.#isFinal(life)) return { verdict: "late", state: "complete" };
    this.#count(life, stage, added);
    return this.#changed(op, "accepted");
  }

  cleanup(op: string): boolean {
    if (this.#told.has(op)) return true;
    const life = this.#standing;
    if (life === undefined) return false;
    life.cleanedAtMs = this.#nowMs;
    this.#told.set(op, { life, verdict: "accepted" });
    return true;
  }

  /** Whether the call `op` belongs to a life that is over: its late copy may be told anything, and changes nothing. */
  isOfAnotherLife(op: string): boolean {
    const told = this.#told.get(op);
    return told !== undefined && told.life !== this.#standing;
  }

  status(): object | null {
    const life = this.#standing;
    return life === undefined ? null : statusOf(life);
  }

  /** What a waiter reads: for a minute after a cleanup, how it ended. `pending`: the wait goes on. */
  waited(): object | null | "pending" {
    const life = this.#life;
    if (life === undefined) return null;
    if (this.#stateOf(life) === "complete") return statusOf(life);
    return life.cleanedAtMs === undefined ? "pending" : null;
  }

  #again(op: string): Told | undefined {
    const told = this.#told.get(op);
    return told === undefined ? undefined : { verdict: told.verdict, state: this.state };
  }

  #changed(op: string, verdict: Told["verdict"]): Told {
    const life = this.#life;
    if (life === undefined) return UNKNOWN;
    life.writtenAtMs = this.#nowMs;
    this.changes++;
    this.#told.set(op, { life, verdict });
    return { verdict, state: this.state };
  }

  #count(
    life: Life,
    stage: string,
    added: { readonly processed?: number; readonly requeued?: number; readonly error?: string },
  ): void {
    const counts = life.stages.get(stage);
    if (counts === undefined) throw new Error("no such stage");
    counts.processed += added.processed ?? 0;
    counts.requeueCount += added.requeued ?? 0;
    if (added.error === undefined) return;
    counts.errorCount++;
    counts.errors.push({ message: added.error });
  }

  #stateOf(life: Life): "pending" | "complete" {
    if (life.isAbandoned) return "complete";
    const isBegun = life.roots.size > 0 || life.isSealed;
    return isBegun && [...life.roots].every((root) => life.marks.has(root)) ? "complete" : "pending";
  }

  #isFinal(life: Life): boolean {
    return life.isSealed && this.#stateOf(life) === "complete";
  }
}

const nameOf = ({ stage, rootId }: Root): string => JSON.stringify([stage, rootId]);

function rootOf(name: string): Root {
  const [stage, rootId] = JSON.parse(name) as [string, string];
  return { stage, rootId };
}

const emptyCounts = (): Counts => ({ processed: 0, requeueCount: 0, errorCount: 0, errors: [] });

function statusOf({ stages }: Life): object {
  return structuredClone(Object.fromEntries(stages));
}
