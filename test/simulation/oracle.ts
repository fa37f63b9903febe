import type { Claim } from "../../src/core/outbox/attempts.js";
import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { keyOf, type ModelDelivery, type ModelGroup } from "./group-model.js";
import type { GroupOracle as Oracles } from "./group-oracle.js";
import { GroupOracle } from "./group-oracle.js";
import { isMeant } from "./record-model.js";
import { TraceOracle } from "./trace-oracle.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

/** How many attempts a delivery has. */
export const ATTEMPTS = 12;

/** The instance that makes an attempt, and until when no other instance may. */
interface Lease {
  readonly op: string;
  readonly fence: number;
  readonly untilMs: number;
  readonly settledFence: number | undefined;
}

/** Watches every step that the server applies and every effect, and knows what each must be: groups and requests alike. */
export class Oracle {
  readonly #world: World;
  readonly #records = new Map<string, GroupOracle>();
  readonly #leases = new Map<string, Lease>();
  readonly #traces = new TraceOracle();
  /** Requests that some waiter was told of as complete. */
  readonly #told = new Set<string>();
  /** Requests that were removed: a later registration may wait for messages that are done. */
  readonly #removed = new Set<string>();
  /** The call that last queued a record's deliveries again. */
  readonly #redelivered = new Map<string, string>();

  constructor(world: World) {
    this.#world = world;
  }

  observe(transition: TransitionName, id: string, input: unknown, output: unknown): void {
    this.#world.say(() => `  ${transition} ${id} ${JSON.stringify(input)} → ${JSON.stringify(output)}`);
    const [machine = "", step = ""] = transition.split(".");
    const name = `${machine}:${id}`;
    const record = this.#record(name);
    if (step === "register") this.#traces.registered(name, input as never, output as never);
    if (step === "ack") this.#traces.acked(name, input as never, output as never);
    else this.#traces.seen(name, output as never);
    if (step === "woken") this.#claimed(name, input as never, output as never);
    else if (step === "settle") this.#attempted(name, input as never, output as never);
    else if (step === "redeliver") this.#requeued(name, input as never, output as never);
    else if (step === "count") record.counted(input as never, output as never);
    else if (step !== "children") record[step as Watched](input as never, output as never);
    if (machine !== "request") return;
    const { ready, view, found } = output as { ready?: boolean; view?: object; found?: boolean };
    if (step === "wait" && ready === true && view !== undefined) this.#told.add(name);
    if (found === true) this.#removed.add(name);
  }

  /** An effect of a delivery: at least one for each, whatever comes again. */
  delivered(name: string, claim: Claim): void {
    this.#world.say(() => `  effect of ${claim.deliveryId}, ${claim.type}, attempt ${claim.attempt}`);
    this.#owed(name, claim).effects++;
  }

  /** After the storm: what must have come about. */
  settled(): void {
    for (const [name, record] of this.#records) {
      for (const [number, group] of record.generations) this.#paid(`generation ${number} of ${name}`, name, group);
      const group = record.any;
      if (!name.startsWith("request:") || this.#removed.has(name) || group === undefined) continue;
      if (!group.hasNoOpenTask) throw new Violation(`${name} is not complete`);
      if (!this.#told.has(name)) throw new Violation("no waiter was told that the request is complete");
    }
  }

  #paid(what: string, name: string, group: ModelGroup): void {
    for (const [kind, { effects, isDead }] of group.deliveries) {
      if (effects === 0 && !isDead) throw new Violation(`${what} ended as ${group.state}, and owes its ${kind}`);
      // A dead letter has told that children may be left.
      if (kind !== "cascade" || effects === 0) continue;
      for (const { key, groupId } of group.children) {
        const child = this.#records.get(`completion:${groupId}`)?.any;
        const isOpenTask = group.tasks.get(key)?.state === "open";
        const cancel = { key: parentKey(name, key), generation: group.number };
        if (isOpenTask && child?.isOpen === true && isMeant(child.setup.parent, cancel))
          throw new Violation(`${groupId} outlives ${what}`);
      }
    }
  }

  #record(name: string): GroupOracle {
    const record = this.#records.get(name) ?? new GroupOracle(this.#world);
    this.#records.set(name, record);
    return record;
  }

  #owed(name: string, { key, generation, type, route }: Claim): ModelDelivery {
    const kind = key.split("-")[1] ?? "callback";
    const owed = this.#record(name).generations.get(generation)?.deliveries.get(kind);
    if (owed === undefined) throw new Violation(`${name} delivers a ${kind} that it does not owe`);
    if (owed.type !== type || owed.route !== route)
      throw new Violation(`${name} delivers ${type} to ${route}, and owes ${owed.type} to ${owed.route}`);
    return owed;
  }

  /** A lease is one caller's until it is over or settled; a copy of the same call gets it again. */
  #claimed(name: string, input: InputOf<"completion.woken">, { claims }: OutputOf<"completion.woken">): void {
    const { nowMs } = this.#world;
    // The clocks are applied.
    void this.#record(name).any;
    for (const claim of claims) {
      const owed = this.#owed(name, claim);
      this.#traces.claimed(name, claim);
      owed.attempts = claim.attempt;
      if (claim.attempt >= owed.base + ATTEMPTS) owed.isDead = true;
      const key = `${name} ${claim.key}`;
      const lease = this.#leases.get(key);
      const isAgain = lease !== undefined && lease.op === input.op;
      if (lease !== undefined && lease.untilMs > nowMs && !isAgain) throw new Violation("two hold one lease");
      if (lease !== undefined && !isAgain && claim.fence <= lease.fence) throw new Violation("a fence that falls back");
      const untilMs = isAgain ? lease.untilMs : nowMs + (input.leaseMs ?? 0);
      this.#leases.set(key, { op: input.op ?? "", fence: claim.fence, untilMs, settledFence: lease?.settledFence });
    }
  }

  #attempted(name: string, input: InputOf<"completion.settle">, { settled }: OutputOf<"completion.settle">): void {
    void this.#record(name).any;
    const key = `${name} ${input.key}`;
    const lease = this.#leases.get(key);
    // A copy of the call that settled gets the same answer, whichever instance holds the lease by then.
    if (!settled || lease === undefined || lease.settledFence === input.fence) return;
    if (input.fence < lease.fence) throw new Violation("an attempt settles under another's lease");
    this.#leases.set(key, { ...lease, untilMs: 0, settledFence: input.fence });
    const [number = "", kind = "callback"] = input.key.split("-");
    const owed = this.#record(name).generations.get(Number(number))?.deliveries.get(kind);
    if (owed === undefined) return;
    owed.isDelivered = input.error === undefined;
    if (owed.isDelivered) owed.isDead = false;
    else if (input.final === true) owed.isDead = true;
  }

  /** What was delivered, or given up, is owed again. An attempt that is under way goes on. A copy of the call does nothing. */
  #requeued(name: string, input: InputOf<"completion.redeliver">, output: OutputOf<"completion.redeliver">): void {
    const { retryAfterMs, view } = output;
    const record = this.#record(name);
    const group = record.any;
    if (retryAfterMs !== undefined && !(retryAfterMs > 0 && retryAfterMs <= (input.pauseMs ?? 0)))
      throw new Violation(`a pause of ${retryAfterMs} ms before another redelivery`);
    if (view === undefined || group === undefined || retryAfterMs !== undefined) return;
    const generations = [...record.generations];
    const hasOutbox = generations.some(([, { deliveries }]) => deliveries.size > 0);
    if (!hasOutbox || this.#redelivered.get(name) === input.op) return;
    this.#redelivered.set(name, input.op);
    for (const [number, { deliveries }] of generations) {
      for (const [kind, owed] of deliveries) {
        const lease = this.#leases.get(`${name} ${number}${kind === "callback" ? "" : `-${kind}`}`);
        const isUnderWay = lease !== undefined && lease.settledFence !== lease.fence;
        if (isUnderWay || (number !== group.number && !owed.isDead)) continue;
        const isOver = owed.isDelivered || owed.isDead;
        Object.assign(owed, { base: owed.attempts, isDelivered: false, isDead: false });
        if (isOver) owed.effects = 0;
      }
    }
  }
}

type Watched = {
  [S in keyof Oracles]: Oracles[S] extends (input: never, output: never) => void ? S : never;
}[keyof Oracles];

/** What names the parent's task in the child. `key`: the task's key in the model. */
export function parentKey(name: string, key: string): string {
  return `${name} ${key}`;
}

export const parentKeyOf = (name: string, stage: string | undefined, id: string): string =>
  parentKey(name, keyOf(stage, id));
