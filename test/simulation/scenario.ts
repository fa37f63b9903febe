import type { TaskAck } from "../../src/core/group/task-set.js";
import type { StageRoots } from "../../src/core/request/record.js";
import { Network, type Weather } from "./network.js";
import type { Oracle } from "./oracle.js";
import type { Server } from "./server.js";
import type { Instance, Process, World } from "./world.js";

const RETRY = { maxAttempts: 12, baseDelayMs: 1_000, maxDelayMs: 60_000 };
const TTL_MS = 3_600_000;
/** Short enough for groups without a deadline to end by silence, between one message and the next. */
const SILENT_TTL_MS = 120_000;
const LEASE_MS = 30_000;
const TARGETS = { end: { route: "handler:publish", body: "null" } };

/** How long faults occur. Then they stop, and every promise has to come about. */
export const STORM_MS = 600_000;

/** What a few instances do with a few groups and a request, while the network and the instances fail. All by the seed. */
export class Scenario {
  readonly #world: World;
  readonly #oracle: Oracle;
  readonly #network: Network;
  readonly #instances: Instance[];
  readonly #weather: { -readonly [Kind in keyof Weather]: number };
  readonly #earlyTtlMs: number;
  #ops = 0;

  constructor(world: World, server: Server, oracle: Oracle) {
    this.#world = world;
    this.#oracle = oracle;
    const worst = world.pick([0, 0.05, 0.3]);
    const some = (): number => world.random() * worst;
    this.#weather = { lost: some(), replyLost: some(), doubled: some(), slow: some() };
    this.#earlyTtlMs = world.pick([300_000, 5_000]);
    this.#network = new Network(world, server, this.#weather);
    this.#instances = Array.from({ length: 2 + world.below(3) }, (_, i) => ({ name: `instance ${i}`, life: 0 }));
    server.onDue = (machine, id) => {
      if (machine === "completion") world.spawn(this.#instance(), this.#drain(id));
    };
  }

  begin(): void {
    const world = this.#world;
    world.after(STORM_MS, () => {
      world.say(() => "the weather clears");
      Object.assign(this.#weather, { lost: 0, replyLost: 0, doubled: 0, slow: 0 });
    });
    const kills = world.below(6);
    for (let i = 0; i < kills; i++) world.after(world.below(STORM_MS), () => world.kill(this.#instance()));
    const groups = 1 + world.below(2);
    for (let i = 0; i < groups; i++) this.#group(`group-${i}`);
    this.#request("request");
  }

  #instance(): Instance {
    return this.#world.pick(this.#instances);
  }

  #op(): string {
    return `op${this.#ops++}`;
  }

  /** A message of a queue: handed out again until some instance has come to its end with it; now and then twice for nothing. */
  #message(work: () => Process): void {
    const world = this.#world;
    let isDone = false;
    const once = function* (): Process {
      yield* work();
      isDone = true;
    };
    const hand = (pauseMs: number): void => {
      if (isDone) return;
      world.spawn(this.#instance(), once());
      world.after(pauseMs + world.below(pauseMs), () => hand(2 * pauseMs));
    };
    world.after(world.below(60_000), () => hand(20_000));
    if (world.chance(0.3)) world.after(world.below(300_000), () => world.spawn(this.#instance(), work()));
  }

  #group(id: string): void {
    const world = this.#world;
    const tasks = Array.from({ length: 1 + world.below(5) }, (_, i) => `task-${i}`);
    const named = world.chance(0.6);
    const timeoutMs = world.pick([0, 0, 30_000, 120_000, 1_200_000]);
    const input = {
      spec: "spec",
      total: tasks.length,
      ...(named ? { tasks } : {}),
      timeoutMs,
      ttlMs: timeoutMs === 0 ? world.pick([TTL_MS, SILENT_TTL_MS, SILENT_TTL_MS]) : TTL_MS,
      ...(world.chance(0.8) ? { targets: TARGETS } : {}),
    };
    this.#message(() => this.#register(id, input));
    // Now and then a task that no worker does: its group ends by time alone.
    const done = world.chance(0.3) ? tasks.slice(1) : tasks;
    for (const task of done) this.#message(() => this.#ack(id, [{ id: task }]));
    if (world.chance(0.2))
      this.#message(() =>
        this.#ack(
          id,
          tasks.map((task) => ({ id: task, error: "broken" })),
        ),
      );
    if (world.chance(0.1)) this.#message(() => this.#cancel(id));
    if (world.chance(0.5)) world.after(world.below(60_000), () => world.spawn(this.#instance(), this.#follow(id)));
    for (const spec of ["again", "once more"]) {
      if (world.chance(0.2)) this.#message(() => this.#restart(id, { ...input, spec }, tasks));
    }
  }

  *#register(id: string, input: object): Process {
    for (;;) {
      const op = this.#op();
      const made = { ...input, op, deliveryId: `msg_${op}` } as never;
      const { output } = yield* this.#network.call("completion.register", id, made);
      if (output !== undefined) return;
      yield { sleepMs: 1_000 };
    }
  }

  /** Begins the next generation from the one that it reads, and does its tasks. */
  *#restart(id: string, input: object, tasks: readonly string[]): Process {
    yield { sleepMs: this.#world.below(200_000) };
    const { output } = yield* this.#network.call("completion.status", id, {});
    if (output?.view === undefined) return;
    const op = this.#op();
    const made = { ...input, op, deliveryId: `msg_${op}`, restart: { from: output.view.generation } } as never;
    yield* this.#network.call("completion.register", id, made);
    for (const task of tasks) this.#message(() => this.#ack(id, [{ id: task }]));
  }

  *#ack(id: string, tasks: TaskAck[]): Process {
    yield { sleepMs: this.#world.below(30_000) };
    // A group that has ended, expired and is not registered again takes no message for ever.
    for (let tries = 0; tries < 300; tries++) {
      const { output } = yield* this.#network.call("completion.ack", id, {
        op: this.#op(),
        tasks,
        earlyTtlMs: this.#earlyTtlMs,
      });
      // An early ack is kept for minutes only: its message is not done before the group has it.
      if (output?.results.every(({ verdict }) => verdict !== "early")) return;
      yield { sleepMs: 1_000 + this.#world.below(20_000) };
    }
  }

  /** Waits for the group's end, for some minutes. */
  *#follow(id: string): Process {
    for (let looks = this.#world.below(30); looks > 0; looks--) {
      const { output } = yield* this.#network.call("completion.wait", id, {});
      if (output?.ready === true) return;
      yield { sleepMs: this.#world.below(40_000) };
    }
  }

  *#cancel(id: string): Process {
    yield { sleepMs: this.#world.below(200_000) };
    yield* this.#network.call("completion.cancel", id, { reason: "enough" });
  }

  *#drain(id: string): Process {
    const world = this.#world;
    const isCalm = world.chance(this.#weather.lost === 0 ? 1 : 0.7);
    const routes = isCalm || world.chance(0.5) ? ["handler:publish"] : [];
    const woken = { op: this.#op(), routes, leaseMs: LEASE_MS, retry: RETRY };
    const { output } = yield* this.#network.call("completion.woken", id, woken);
    for (const claim of output?.claims ?? []) {
      yield { sleepMs: world.below(40_000) };
      const works = isCalm || world.chance(0.6);
      if (works) this.#oracle.delivered(id, claim);
      yield { sleepMs: world.below(2_000) };
      const { generation, fence } = claim;
      const settled = { generation, fence, retry: RETRY, random: world.random() };
      yield* this.#network.call("completion.settle", id, works ? settled : { ...settled, error: "broken" });
    }
  }

  #request(id: string): void {
    const world = this.#world;
    const roots = Array.from({ length: world.below(4) }, (_, i) => `root-${i}`);
    this.#message(() => this.#open(id, roots));
    for (const root of roots) {
      // Decided once: every copy of a message does the same.
      const next = world.chance(0.5) ? [{ stage: "embed", roots: [root] }] : undefined;
      const error = next === undefined && world.chance(0.3) ? "broken" : undefined;
      this.#message(() => this.#mark(id, root, next, error));
    }
    for (let i = world.below(3); i > 0; i--)
      world.after(world.below(60_000), () => world.spawn(this.#instance(), this.#wait(id)));
    // A wait that begins after the end still gets it.
    world.after(2 * STORM_MS, () => world.spawn(this.#instance(), this.#wait(id)));
    if (world.chance(0.1)) world.after(world.below(STORM_MS), () => world.spawn(this.#instance(), this.#cleanup(id)));
  }

  *#open(id: string, roots: string[]): Process {
    const registered = yield* this.#network.call("request.register", id, { op: this.#op(), ttlMs: TTL_MS });
    if (registered.output === undefined) return yield* this.#open(id, roots);
    if (roots.length > 0) {
      const added = yield* this.#network.call("request.roots", id, { op: this.#op(), stage: "parse", roots });
      if (added.output === undefined) return yield* this.#open(id, roots);
    }
    const sealed = yield* this.#network.call("request.seal", id, { op: this.#op() });
    if (sealed.output === undefined) yield* this.#open(id, roots);
  }

  /** Parses, hands on to a later stage, and ends there; or fails. */
  *#mark(id: string, root: string, next: StageRoots[] | undefined, error: string | undefined): Process {
    const base = { stage: "parse", root, processed: error === undefined ? 1 : 0 };
    for (let tries = 0; ; tries++) {
      const input = { ...base, op: this.#op(), ...(error && { error }), ...(next && { next }) };
      const { output } = yield* this.#network.call("request.mark", id, input);
      if (output !== undefined && output.verdict !== "unknown") break;
      // Gone, or not there yet: the message is tried for a while.
      if (tries === 300) return;
      yield { sleepMs: 1_000 + this.#world.below(10_000) };
    }
    if (next === undefined) return;
    yield { sleepMs: this.#world.below(10_000) };
    for (;;) {
      const { output } = yield* this.#network.call("request.mark", id, { ...base, stage: "embed", op: this.#op() });
      if (output !== undefined) return;
      yield { sleepMs: 1_000 };
    }
  }

  *#wait(id: string): Process {
    for (let tries = 0; tries < 100; tries++) {
      const { output } = yield* this.#network.call("request.wait", id, {});
      if (output?.ready === true && output.view !== undefined) return;
      yield { sleepMs: 20_000 };
    }
  }

  *#cleanup(id: string): Process {
    yield* this.#network.call("request.cleanup", id, { op: this.#op() });
  }
}
