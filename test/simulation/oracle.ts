import type { GroupView } from "../../src/core/group/record.js";
import type { Claim } from "../../src/core/outbox/attempts.js";
import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { RequestOracle } from "./request-oracle.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

interface Generation {
  readonly tasks: ReadonlySet<string> | undefined;
  readonly total: number;
  readonly deadlineAtMs: number | undefined;
  readonly ttlMs: number;
  readonly hasTarget: boolean;
  /** The distinct tasks whose acks counted, each with the call that did. */
  readonly counted: Map<string, string>;
  /** When a task last counted, or it was registered; and when a waiter last put off its end by silence. */
  touchedAtMs: number;
  renewedAtMs: number;
  isCancelled: boolean;
  state: string;
  /** When it had ended at the latest. */
  endedAtMs: number;
  deliveryId: string | undefined;
  effects: number;
  /** The instance that makes an attempt, and until when no other instance may. */
  lease: { readonly op: string; readonly fence: number; readonly untilMs: number } | undefined;
  settledFence: number | undefined;
}

interface Group {
  readonly generations: Map<number, Generation>;
  readonly early: Map<string, { readonly op: string; readonly untilMs: number }>;
  newest: number;
}

/** Watches every step that the server applies and every effect, and knows what must never be. */
export class Oracle {
  readonly #world: World;
  readonly #groups = new Map<string, Group>();
  readonly requests: RequestOracle;

  constructor(world: World) {
    this.#world = world;
    this.requests = new RequestOracle(world);
  }

  observe(transition: TransitionName, id: string, input: unknown, output: unknown): void {
    this.#world.say(() => `  ${transition} ${id} ${JSON.stringify(input)} → ${JSON.stringify(output)}`);
    if (transition.startsWith("request.")) this.requests.observe(transition, input as never, output as never);
    if (!transition.startsWith("completion.")) return;
    const group = this.#group(id);
    if (transition === "completion.register") this.#registered(group, input as never, output as never);
    if (transition === "completion.ack") this.#acked(group, input as never, output as never);
    if (transition === "completion.woken") this.#claimed(group, input as never, output as never);
    if (transition === "completion.settle") this.#attempted(group, input as never, output as never);
    if (transition === "completion.wait") this.#followed(group, output as never);
    const view = (output as { view?: GroupView }).view;
    if (transition === "completion.cancel" && view?.state === "cancelled") this.#of(group, view).isCancelled = true;
    if (view !== undefined) this.#seen(group, view);
  }

  /** A handler's effect: made once for a delivery id, whatever comes again. */
  delivered(id: string, claim: Claim): void {
    this.#world.say(() => `  effect of ${claim.deliveryId}, ${claim.type}, attempt ${claim.attempt}`);
    const generation = this.#group(id).generations.get(claim.generation);
    if (generation === undefined) throw new Violation(`a delivery of a generation of ${id} that never was`);
    if (!generation.hasTarget) throw new Violation(`a delivery of ${id}, which has no target`);
    if (generation.deliveryId !== undefined && generation.deliveryId !== claim.deliveryId) {
      throw new Violation(`two delivery ids for one generation of ${id}`);
    }
    const state = claim.type.slice("group.".length);
    this.#mayEnd(id, generation, state);
    if (generation.state !== "open" && generation.state !== state) {
      throw new Violation(`${id} ended as ${generation.state}, and was delivered as ${state}`);
    }
    generation.deliveryId = claim.deliveryId;
    generation.effects++;
  }

  /** After the storm: what must have come about, by the statuses that stand. */
  settled(statusOf: (id: string) => GroupView | undefined): void {
    for (const [id, { generations, newest }] of this.#groups) {
      for (const [number, { state, hasTarget, effects }] of generations) {
        const isOwed = state !== "open" && hasTarget && effects === 0;
        if (isOwed) throw new Violation(`generation ${number} of ${id} ended as ${state}, and nobody was told`);
      }
      const generation = generations.get(newest);
      if (generation === undefined) continue;
      const view = statusOf(id);
      if (view === undefined) {
        if (!this.#mayBeGone(generation)) throw new Violation(`${id} is gone before its time`);
        continue;
      }
      const isAll = this.#isAll(generation);
      if (view.state === "open" && isAll) throw new Violation(`${id} is open with all of its tasks done`);
      if (view.state === "open" && generation.deadlineAtMs !== undefined) throw new Violation(`${id} has no end`);
      if (view.succeeded + view.failed !== generation.counted.size) throw new Violation(`${id} counts otherwise`);
      if (view.state !== "open" && generation.hasTarget && generation.effects === 0) {
        throw new Violation(`${id} ended as ${view.state}, and nobody was told`);
      }
    }
    this.requests.settled();
  }

  #group(id: string): Group {
    const group = this.#groups.get(id) ?? { generations: new Map(), early: new Map(), newest: -1 };
    this.#groups.set(id, group);
    return group;
  }

  #of(group: Group, { generation }: GroupView): Generation {
    const found = group.generations.get(generation);
    if (found === undefined) throw new Violation(`a view of generation ${generation}, which nobody has registered`);
    return found;
  }

  #registered(group: Group, input: InputOf<"completion.register">, output: OutputOf<"completion.register">): void {
    const { view } = output;
    if (view === undefined || group.generations.has(view.generation)) return;
    if (view.generation <= group.newest) throw new Violation("a generation that falls back");
    const from = input.restart?.from;
    if (from !== undefined && from !== group.newest)
      throw new Violation("restarted from a generation that stood no more");
    const before = group.generations.get(group.newest);
    if (before !== undefined && input.restart === undefined && !this.#mayBeGone(before)) {
      throw new Violation("a registration began the group anew");
    }
    const tasks = input.tasks === undefined ? undefined : new Set(input.tasks);
    const counted = new Map<string, string>();
    // Early acks count for the first registration only: a restart has had its record all the time.
    for (const [task, { op, untilMs }] of group.early) {
      const isIn = (tasks?.has(task) ?? true) && counted.size < input.total;
      if (untilMs > this.#world.nowMs && isIn) counted.set(task, op);
    }
    group.early.clear();
    group.generations.set(view.generation, {
      tasks,
      total: input.total,
      deadlineAtMs: view.deadlineAtMs,
      ttlMs: input.ttlMs,
      hasTarget: input.targets?.end !== undefined,
      counted,
      touchedAtMs: this.#world.nowMs,
      renewedAtMs: this.#world.nowMs,
      isCancelled: false,
      state: "open",
      endedAtMs: Number.POSITIVE_INFINITY,
      deliveryId: undefined,
      effects: 0,
      lease: undefined,
      settledFence: undefined,
    });
    group.newest = view.generation;
  }

  #acked(group: Group, input: InputOf<"completion.ack">, { results }: OutputOf<"completion.ack">): void {
    for (const [i, { verdict, state, generation }] of results.entries()) {
      const task = input.tasks[i]?.id ?? "";
      if (verdict === "early") {
        const before = group.early.get(task);
        // What was said first stands, while it counts.
        const op = before !== undefined && before.untilMs > this.#world.nowMs ? before.op : input.op;
        group.early.set(task, { op, untilMs: this.#world.nowMs + input.earlyTtlMs });
      }
      const known = generation === undefined ? undefined : group.generations.get(generation);
      if (known !== undefined && state !== "open") known.endedAtMs = Math.min(known.endedAtMs, this.#world.nowMs);
      const isRetry = known?.counted.get(task) === input.op && input.tasks.length === 1;
      if (isRetry && verdict !== "accepted")
        throw new Violation(`the retry of the call that counted is told ${verdict}`);
      if (verdict !== "accepted" || generation === undefined) continue;
      const entry = group.generations.get(generation);
      if (entry === undefined) throw new Violation("an ack of a generation that nobody has registered");
      const before = entry.counted.get(task);
      if (before !== undefined && before !== input.op) throw new Violation(`${task} counts twice`);
      if (before === undefined && isOver(entry, this.#world.nowMs)) throw new Violation(`${task} counts too late`);
      if (before === undefined) entry.touchedAtMs = this.#world.nowMs;
      entry.counted.set(task, input.op);
    }
  }

  /** A waiter keeps a group without a deadline open: it puts off its end every quarter of its TTL at most. */
  #followed(group: Group, { ready, recheckInMs }: OutputOf<"completion.wait">): void {
    const entry = group.generations.get(group.newest);
    if (ready || entry === undefined) return;
    if (recheckInMs === undefined) {
      // It may be registered yet: no such group is there.
      if (!this.#mayBeGone(entry)) throw new Violation("a group is gone before its time");
      return;
    }
    const { nowMs } = this.#world;
    if (isOver(entry, nowMs)) throw new Violation("a waiter waits for a group that is over");
    if (nowMs - Math.max(entry.touchedAtMs, entry.renewedAtMs) < entry.ttlMs / 4) return;
    entry.renewedAtMs = nowMs;
    if (entry.deadlineAtMs === undefined) this.#world.say(() => "  a waiter puts off the end by silence");
  }

  /** Its record is kept for its TTL after its end, and longer for what it owes. */
  #mayBeGone(generation: Generation): boolean {
    const { nowMs } = this.#world;
    const overMs = isOver(generation, nowMs) ? endsAtMs(generation) : Number.POSITIVE_INFINITY;
    return nowMs >= Math.min(generation.endedAtMs, overMs) + generation.ttlMs;
  }

  /** A lease is one caller's until it is over or settled; a copy of the same call is handed it again. */
  #claimed(group: Group, input: InputOf<"completion.woken">, { claims }: OutputOf<"completion.woken">): void {
    const { nowMs } = this.#world;
    for (const { generation, fence } of claims) {
      const entry = group.generations.get(generation);
      if (entry === undefined) throw new Violation("a claim of a generation that never was");
      const { lease } = entry;
      if (lease !== undefined && lease.untilMs > nowMs && lease.op !== input.op)
        throw new Violation("two hold one lease");
      if (lease !== undefined && lease.op !== input.op && fence <= lease.fence)
        throw new Violation("a fence that falls back");
      const isAgain = lease !== undefined && lease.op === input.op;
      const untilMs = isAgain ? lease.untilMs : nowMs + (input.leaseMs ?? 0);
      entry.lease = { op: input.op ?? "", fence, untilMs };
    }
  }

  #attempted(group: Group, input: InputOf<"completion.settle">, { settled }: OutputOf<"completion.settle">): void {
    const entry = group.generations.get(input.generation);
    if (!settled || entry?.lease === undefined) return;
    // A copy of the call that settled gets the same answer, whichever instance holds the lease by then.
    if (entry.settledFence === input.fence) return;
    if (input.fence < entry.lease.fence) throw new Violation("an attempt settles under another's lease");
    entry.lease = { ...entry.lease, untilMs: 0 };
    entry.settledFence = input.fence;
  }

  #seen(group: Group, view: GroupView): void {
    const generation = this.#of(group, view);
    if (view.generation < group.newest) throw new Violation("a view of a generation that stands no more");
    if (generation.state !== "open" && view.state !== generation.state) {
      throw new Violation(`ended as ${generation.state}, and is ${view.state} now`);
    }
    if (view.state !== "open") this.#mayEnd("the group", generation, view.state);
    else if (isOver(generation, this.#world.nowMs)) throw new Violation("open past its deadline");
    if (view.state !== "open") generation.endedAtMs = Math.min(generation.endedAtMs, this.#world.nowMs);
    generation.state = view.state;
    const counted = view.succeeded + view.failed;
    if (counted !== generation.counted.size) throw new Violation(`${generation.counted.size} acks count as ${counted}`);
    if (counted + view.remaining !== generation.total)
      throw new Violation("what is counted and what remains is not all");
  }

  #mayEnd(id: string, generation: Generation, state: string): void {
    const { nowMs } = this.#world;
    if (state === "completed" && !this.#isAll(generation)) throw new Violation(`${id} completed with tasks missing`);
    if (state === "timed_out" && generation.deadlineAtMs === undefined) this.#world.say(() => "  ended by silence");
    if (state === "timed_out" && !isOver(generation, nowMs)) throw new Violation(`${id} timed out before its deadline`);
    if (state === "cancelled" && !generation.isCancelled) throw new Violation(`nobody has cancelled ${id}`);
  }

  #isAll({ tasks, total, counted }: Generation): boolean {
    return tasks === undefined ? counted.size >= total : [...tasks].every((task) => counted.has(task));
  }
}

/** Its deadline, or its silence for a TTL. */
function endsAtMs({ deadlineAtMs, touchedAtMs, renewedAtMs, ttlMs }: Generation): number {
  return deadlineAtMs ?? Math.max(touchedAtMs, renewedAtMs) + ttlMs;
}

function isOver(generation: Generation, nowMs: number): boolean {
  return endsAtMs(generation) <= nowMs;
}
