import type { Parent, Policy } from "../../src/core/group/record.js";

/** One task of the model, announced or not. */
export interface ModelTask {
  readonly key: string;
  readonly stage: string | undefined;
  isAnnounced: boolean;
  state: "open" | "succeeded" | "failed";
  /** The call that settled it. */
  op: string | undefined;
  /** When that call counted. */
  countedAtMs: number;
  /** An early ack that waits for the announcement. */
  early: ModelAck | undefined;
  /** Calls that settled it before it was opened again, or in an earlier use of the record. */
  readonly before: Set<string>;
}

export interface ModelAck {
  readonly op: string;
  readonly isFailure: boolean;
  readonly processed: number;
  readonly next: ModelAnnouncement | undefined;
  /** When it expires, before the registration. */
  untilMs: number;
  /** The position among the early acks. */
  readonly n: number;
}

export interface ModelAnnouncement {
  readonly refs: readonly { readonly stage: string | undefined; readonly id: string }[];
  readonly children: readonly { readonly key: string; readonly groupId: string }[];
}

export interface ModelStage {
  total: number;
  processed: number;
  errors: number;
}

export type EndState = "completed" | "failed" | "timed_out" | "cancelled";

/** A delivery that the end of a generation owes. */
export interface ModelDelivery {
  readonly type: string;
  readonly route: string;
  /** Since it was queued, or queued again. */
  effects: number;
  /** The number of the last attempt, and of the last one before it was queued again. */
  attempts: number;
  base: number;
  isDelivered: boolean;
  isDead: boolean;
}

/** A generation as the rules describe it, from sets of tasks alone: nothing is counted ahead. */
export class ModelGroup {
  readonly tasks = new Map<string, ModelTask>();
  readonly stages = new Map<string, ModelStage>();
  readonly children: { readonly key: string; readonly groupId: string }[] = [];
  readonly deliveries = new Map<string, ModelDelivery>();
  state: "open" | EndState = "open";
  reason: string | undefined;
  completionReason: string | undefined;
  /** When it ended, or when its time was over, long before the look that ended it. */
  overAtMs: number | undefined;
  isSealed = false;
  errors = 0;
  touchedAtMs: number;
  followedAtMs = 0;
  deadlineAtMs: number | undefined;
  /** Its parent has cancelled it. */
  isEndOfParent = false;

  constructor(
    readonly number: number,
    readonly chain: number,
    readonly setup: Setup,
    nowMs: number,
  ) {
    this.touchedAtMs = nowMs;
    this.deadlineAtMs = setup.timeoutMs > 0 ? nowMs + setup.timeoutMs : undefined;
  }

  get isOpen(): boolean {
    return this.state === "open";
  }

  get takesNoMore(): boolean {
    return !this.setup.grows || this.isSealed;
  }

  count(state: ModelTask["state"]): number {
    return [...this.tasks.values()].filter((task) => task.isAnnounced && task.state === state).length;
  }

  get total(): number {
    return this.setup.kind === "counted" ? this.setup.total : this.count("open") + this.settled;
  }

  get settled(): number {
    return this.count("succeeded") + this.count("failed");
  }

  get left(): number {
    return this.total - this.settled;
  }

  get hasNoOpenTask(): boolean {
    return this.left === 0 && (this.total > 0 || this.takesNoMore);
  }

  /** The clock that ends it next. */
  clock(): { readonly name: string; readonly atMs: number } {
    const { deadlineAtMs, touchedAtMs, followedAtMs } = this;
    const { idleMs, ttlMs } = this.setup;
    const clocks = [
      ...(deadlineAtMs === undefined ? [] : [{ name: "deadline", atMs: deadlineAtMs }]),
      ...(idleMs === undefined ? [] : [{ name: "idle", atMs: touchedAtMs + idleMs }]),
    ];
    if (clocks.length === 0) return { name: "silent", atMs: Math.max(touchedAtMs, followedAtMs) + ttlMs };
    return clocks.reduce((first, clock) => (clock.atMs < first.atMs ? clock : first));
  }

  /** Ends the group when its time is over: at every step, before anything else. */
  applyClocks(nowMs: number): void {
    if (!this.isOpen) return;
    const { name, atMs } = this.clock();
    if (atMs > nowMs) return;
    this.overAtMs = atMs;
    if (this.setup.request && this.hasNoOpenTask) this.end("completed", nowMs, { completionReason: "all_completed" });
    else this.end("timed_out", nowMs, { reason: name });
  }

  /** The order of GROUPS.md. `isOver`: the call has counted all of its tasks and announced what follows. */
  decide(isOver: boolean, nowMs: number) {
    if (!this.isOpen) return;
    const { minSuccessful, toleratedFailureCount, toleratedFailurePpm } = this.setup.policy ?? {};
    const [succeeded, failed, left, total] = [this.count("succeeded"), this.count("failed"), this.left, this.total];
    const isKnown = isOver && (!this.setup.grows || (this.isSealed && left === 0));
    const fail = (): void => this.end("failed", nowMs, { completionReason: "failure_tolerance_exceeded" });
    if (toleratedFailureCount !== undefined && failed > toleratedFailureCount) return fail();
    if (toleratedFailurePpm !== undefined && isKnown && failed / total > toleratedFailurePpm / 1e6) return fail();
    if (minSuccessful !== undefined && succeeded >= minSuccessful) {
      return this.end("completed", nowMs, { completionReason: "min_successful_reached" });
    }
    if (minSuccessful !== undefined && isKnown && succeeded + left < minSuccessful) return fail();
    if (isOver && this.takesNoMore && left === 0) this.end("completed", nowMs, { completionReason: "all_completed" });
  }

  end(state: EndState, nowMs: number, why: { reason?: string; completionReason?: string }): void {
    this.state = state;
    this.reason = why.reason;
    this.completionReason = why.completionReason;
    this.overAtMs ??= nowMs;
  }

  /** What the end owes. The first failure decides between the targets at the end of the step. */
  owe(sparesChildren = false): void {
    const { targets, parent, request } = this.setup;
    const type = `${request ? "request" : "group"}.${this.state}`;
    const owed = (kind: string, route: string | undefined): void => {
      if (route === undefined) return;
      this.deliveries.set(kind, {
        type,
        route,
        effects: 0,
        attempts: 0,
        base: 0,
        isDelivered: false,
        isDead: false,
      });
    };
    owed("callback", this.#routeOf(targets));
    owed("parent", parent !== undefined && !this.isEndOfParent ? "task" : undefined);
    owed("cascade", this.children.length > 0 && !sparesChildren ? "cascade" : undefined);
  }

  #routeOf(targets: Readonly<Record<string, string>>): string | undefined {
    const { success, failure, complete, timeout, end } = targets;
    if (this.state === "completed") return (this.count("failed") === 0 ? success : undefined) ?? complete ?? end;
    if (this.state === "failed") return failure ?? end;
    return this.state === "timed_out" ? (timeout ?? failure ?? end) : end;
  }
}

/** What a registration fixes. */
export interface Setup {
  readonly kind: "named" | "counted" | "indexed";
  readonly total: number;
  readonly request: boolean;
  readonly grows: boolean;
  readonly policy: Policy | undefined;
  readonly timeoutMs: number;
  readonly idleMs: number | undefined;
  readonly ttlMs: number;
  /** The route of each target. */
  readonly targets: Readonly<Record<string, string>>;
  readonly parent: Parent | undefined;
  readonly fingerprint: string;
  /** The generation that it restarted. */
  readonly from: number | undefined;
}

export const keyOf = (stage: string | undefined, id: string): string => JSON.stringify([stage ?? null, id]);
