import type { TaskAck, TaskRef } from "../../src/core/group/record.js";
import type { GroupView } from "../../src/core/group/view.js";
import type { Claim } from "../../src/core/outbox/attempts.js";
import type { InputOf } from "../../src/core/registry.js";
import type { Answer, Network } from "./network.js";
import { ATTEMPTS, type Oracle, parentKeyOf } from "./oracle.js";
import type { Process, Waiting, World } from "./world.js";

const RETRY = { maxAttempts: ATTEMPTS, baseDelayMs: 1_000, maxDelayMs: 60_000 };
const LEASE_MS = 30_000;
const NOTE_MS = 3_600_000;

export type Machine = "completion" | "request";
export type Work = () => Process;
type Registered = Omit<InputOf<"completion.register">, "op" | "deliveryId">;

/** A group or a request. */
export interface Place {
  readonly machine: Machine;
  readonly id: string;
}

interface Surroundings {
  readonly oracle: Oracle;
  readonly earlyTtlMs: number;
  /** Hands work out as a message of a queue. */
  readonly message: (work: Work) => void;
}

type Attempt = Generator<Waiting, "delivered" | "broken" | "final", never>;

/** What the instances do: each is a process that may die at every message. */
export class Actors {
  readonly #world: World;
  readonly #network: Network;
  readonly #around: Surroundings;
  #ops = 0;

  constructor(world: World, network: Network, around: Surroundings) {
    this.#world = world;
    this.#network = network;
    this.#around = around;
  }

  #op(): string {
    return `op${this.#ops++}`;
  }

  /** The trace context of a call, or none. Any text will do: the core does not read it. */
  #trace(op: string): { traceparent?: string } {
    return this.#ops % 3 === 0 ? {} : { traceparent: `trace of ${op}` };
  }

  *register({ machine, id }: Place, input: Registered): Process {
    for (;;) {
      const op = this.#op();
      const made = { ...input, op, deliveryId: `msg_${op}`, ...this.#trace(op) };
      const { output } = yield* this.#network.call(`${machine}.register`, id, made);
      if (output !== undefined) return;
      yield { sleepMs: 1_000 };
    }
  }

  /** Registers a child; with the generation of its parent, where this is asked for and known. */
  *registerChild(child: Place, input: Registered, parent: Place | undefined): Process {
    if (parent === undefined || input.parent === undefined) return yield* this.register(child, input);
    const { output } = yield* this.#network.call(`${parent.machine}.status`, parent.id, {});
    const generation = output?.view?.generation;
    if (generation === undefined) return yield* this.register(child, input);
    const body = JSON.stringify({ ...(JSON.parse(input.parent.body) as object), generation });
    yield { sleepMs: this.#world.below(60_000) };
    yield* this.register(child, { ...input, parent: { key: input.parent.key, body, generation } });
  }

  /** Begins the next generation from the one that it reads, and does its tasks. */
  *restart(
    { machine, id }: Place,
    {
      input,
      tasks,
      keep,
      stage,
      cancels,
    }: { input: Registered; tasks: readonly string[]; keep?: boolean; stage?: string | undefined; cancels?: boolean },
  ): Process {
    yield { sleepMs: this.#world.below(this.#world.pick([60_000, 200_000])) };
    // What the end owes is then still to be delivered.
    if (cancels === true) yield* this.#network.call(`${machine}.cancel`, id, { reason: "begins again" });
    const { output } = yield* this.#network.call(`${machine}.status`, id, {});
    if (output?.view === undefined) return;
    // Another call may restart the group meanwhile.
    if (this.#world.chance(0.3)) yield { sleepMs: this.#world.below(60_000) };
    const op = this.#op();
    const restart = { from: output.view.generation, ...(keep === true ? { keep: "succeeded" as const } : {}) };
    const made = { ...input, op, deliveryId: `msg_${op}`, restart, ...this.#trace(op) };
    yield* this.#network.call(`${machine}.register`, id, made);
    for (const task of tasks)
      this.#around.message(() => this.ack({ machine, id }, { tasks: [{ ...(stage && { stage }), id: task }] }));
    if (input.grows === true) this.#around.message(() => this.produce({ machine, id }, [], true));
  }

  *ack({ machine, id }: Place, input: { tasks: TaskAck[]; next?: { lists: string[] } }): Process {
    yield { sleepMs: this.#world.below(30_000) };
    // A group that has ended, expired and is not registered again takes no message for ever.
    for (let tries = 0; tries < 150; tries++) {
      const { earlyTtlMs } = this.#around;
      const op = this.#op();
      const call = { op, earlyTtlMs, ...input, ...this.#trace(op) };
      const { output } = yield* this.#network.call(`${machine}.ack`, id, call);
      // An early ack is kept for minutes only: its message is not done before the group has it.
      if (output?.results.every(({ verdict }) => verdict !== "early")) return;
      yield { sleepMs: 1_000 + this.#world.below(20_000) };
    }
  }

  /** Does a task, hands on to later ones, and does these. */
  *work(
    place: Place,
    { stage, id }: { stage: string | undefined; id: string },
    { next, nextStage, error }: { next: readonly string[]; nextStage: string | undefined; error: string | undefined },
  ): Process {
    const task: TaskAck = { ...(stage && { stage }), id, ...(error === undefined ? { processed: 1 } : { error }) };
    const lists = [JSON.stringify([nextStage ?? "", ...next])];
    yield* this.ack(place, { tasks: [task], ...(next.length > 0 ? { next: { lists } } : {}) });
    for (const each of next) yield* this.ack(place, { tasks: [{ ...(nextStage && { stage: nextStage }), id: each }] });
  }

  /** Announces tasks one call at a time, then seals. */
  *produce({ machine, id }: Place, added: readonly string[][], seals: boolean): Process {
    for (const lists of added) {
      yield { sleepMs: this.#world.below(20_000) };
      for (let tries = 0; tries < 60; tries++) {
        const { output } = yield* this.#network.call(`${machine}.add`, id, { op: this.#op(), lists });
        if (output !== undefined && output.outcome !== "unknown") break;
        yield { sleepMs: 1_000 + this.#world.below(10_000) };
      }
    }
    for (let tries = 0; seals && tries < 60; tries++) {
      const { output } = yield* this.#network.call(`${machine}.seal`, id, { op: this.#op() });
      if (output !== undefined && output.outcome !== "unknown") return;
      yield { sleepMs: 1_000 + this.#world.below(10_000) };
    }
  }

  /** Registers a request, announces its first tasks, and seals it: again from the start when no answer comes. */
  *open(place: Place, input: Registered, first: { lists: string[]; seals: boolean }): Process {
    const { machine, id } = place;
    const { lists, seals } = first;
    yield* this.register(place, input);
    if (lists.length > 0) {
      const added = yield* this.#network.call(`${machine}.add`, id, { op: this.#op(), lists });
      if (added.output === undefined) return yield* this.open(place, input, first);
    }
    if (!seals) return;
    const sealed = yield* this.#network.call(`${machine}.seal`, id, { op: this.#op() });
    if (sealed.output === undefined) yield* this.open(place, input, first);
  }

  /** Opens failed tasks again, and does them. */
  *retry(place: Place, tasks: TaskRef[]): Process {
    yield { sleepMs: 20_000 + this.#world.below(100_000) };
    const { output } = yield* this.#network.call(`${place.machine}.retry`, place.id, { op: this.#op(), tasks });
    if (output?.letters?.includes("r") !== true) return;
    for (const task of tasks) {
      const error = this.#world.chance(0.3) ? "again" : undefined;
      this.#around.message(() => this.ack(place, { tasks: [{ ...task, ...(error && { error }) }] }));
    }
  }

  /** Waits for the group's end, for some minutes. */
  *follow({ machine, id }: Place): Process {
    for (let looks = this.#world.below(30); looks > 0; looks--) {
      const background = this.#world.chance(0.2) ? { background: true } : {};
      const { output } = yield* this.#network.call(`${machine}.wait`, id, background);
      if (output?.ready === true) return;
      yield { sleepMs: this.#world.below(40_000) };
    }
  }

  *heartbeat({ machine, id }: Place): Process {
    for (let beats = 1 + this.#world.below(20); beats > 0; beats--) {
      yield* this.#network.call(`${machine}.heartbeat`, id, {});
      yield { sleepMs: this.#world.below(30_000) };
    }
  }

  *extend({ machine, id }: Place): Process {
    yield { sleepMs: this.#world.below(60_000) };
    const timeoutMs = this.#world.pick([1_000, 60_000, 600_000]);
    yield* this.#network.call(`${machine}.extend`, id, { op: this.#op(), timeoutMs });
  }

  *cancel({ machine, id }: Place): Process {
    yield { sleepMs: this.#world.below(200_000) };
    const spares = this.#world.chance(0.2) ? { sparesChildren: true } : {};
    yield* this.#network.call(`${machine}.cancel`, id, { reason: "enough", ...spares });
  }

  /** Queues deliveries again, by the same call until an answer comes. */
  *redeliver({ machine, id }: Place): Process {
    const call = { op: this.#op(), pauseMs: this.#world.pick([0, 60_000]) };
    for (let tries = 0; tries < 5; tries++) {
      const { output } = yield* this.#network.call(`${machine}.redeliver`, id, call);
      if (output !== undefined) return;
      yield { sleepMs: 1_000 };
    }
  }

  *remove({ machine, id }: Place): Process {
    yield* this.#network.call(`${machine}.remove`, id, { op: this.#op() });
  }

  *count({ machine, id }: Place): Process {
    const work = this.#world.pick([{ processed: 2 }, { requeued: 1 }, { error: "on the way" }]);
    yield* this.#network.call(`${machine}.count`, id, { op: this.#op(), stage: "parse", ...work });
  }

  *wait({ machine, id }: Place): Process {
    for (let tries = 0; tries < 100; tries++) {
      const { output } = yield* this.#network.call(`${machine}.wait`, id, {});
      if (output?.ready === true && output.view !== undefined) return;
      yield { sleepMs: 20_000 };
    }
  }

  *drain(place: Place, isCalm: boolean): Process {
    const world = this.#world;
    const { machine, id } = place;
    const routes = isCalm || world.chance(0.5) ? ["handler:publish", "task", "cascade"] : ["task"];
    const woken = { op: this.#op(), routes, leaseMs: LEASE_MS, retry: RETRY };
    const { output } = yield* this.#network.call(`${machine}.woken`, id, woken);
    for (const claim of Array.isArray(output?.claims) ? output.claims : []) {
      yield { sleepMs: world.below(40_000) };
      const failure = world.chance(0.1) ? "final" : "broken";
      const outcome = isCalm || world.chance(0.6) ? yield* this.#deliver(place, claim) : failure;
      if (outcome === "delivered") this.#around.oracle.delivered(`${machine}:${id}`, claim);
      yield { sleepMs: world.below(2_000) };
      const { key, fence } = claim;
      const settled = { key, fence, retry: RETRY, random: world.random() };
      const failed = { error: outcome, ...(outcome === "final" ? { final: true } : {}) };
      yield* this.#network.call(`${machine}.settle`, id, outcome === "delivered" ? settled : { ...settled, ...failed });
      // While copies of the settlement may still be on their way.
      if (!isCalm && world.chance(0.1)) yield* this.redeliver(place);
    }
  }

  /** Makes one attempt, as the deliverer does. */
  *#deliver(place: Place, claim: Claim): Attempt {
    if (claim.route === "task") return yield* this.#settleParent(claim);
    return claim.route === "cascade" ? yield* this.#cascade(place, claim) : "delivered";
  }

  *#settleParent({ body, deliveryId, snapshot }: Claim): Attempt {
    type Parent = { machine: Machine; id: string; taskId: string; generation?: number };
    const { machine, id, taskId, generation } = JSON.parse(body) as Parent;
    const { state, failed, hasPolicy } = JSON.parse(snapshot) as GroupView;
    const isDone = state === "completed" && (failed === 0 || hasPolicy === true);
    const task: TaskAck = { id: taskId, ...(isDone ? { processed: 1 } : { error: state }) };
    const ofGeneration = generation === undefined ? {} : { generation };
    const input = { op: deliveryId, tasks: [task], earlyTtlMs: 0, ...ofGeneration };
    const { output } = yield* this.#network.call(`${machine}.ack`, id, input);
    const line = output?.results[0];
    if (line === undefined) return "broken";
    if (line.verdict !== "unknown") return "delivered";
    if (line.state === "unregistered") return "broken";
    return generation !== undefined && line.generation !== generation ? "delivered" : "final";
  }

  *#cascade({ machine, id }: Place, { body, generation }: Claim): Attempt {
    const { chain, lists } = JSON.parse(body) as { chain: number; lists: number };
    let after: number | undefined = 0;
    while (after !== undefined) {
      const page: Answer<"completion.children"> = yield* this.#network.call(`${machine}.children`, id, {
        chain,
        lists,
        after,
        limit: 2,
      });
      if (page.output === undefined) return "broken";
      for (const child of Array.isArray(page.output.items) ? page.output.items : []) {
        const key = parentKeyOf(`${machine}:${id}`, child.stage, child.id);
        const input = { key, generation, reason: "its parent has ended", ttlMs: NOTE_MS };
        const { output } = yield* this.#network.call(`${child.machine}.cancelChild`, child.groupId, input);
        if (output === undefined) return "broken";
      }
      after = page.output.next;
    }
    return "delivered";
  }
}
