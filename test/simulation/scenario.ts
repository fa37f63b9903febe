import type { Announcement } from "../../src/core/group/growth.js";
import type { InputOf } from "../../src/core/registry.js";
import { Actors, type Machine, type Work } from "./actors.js";
import { Network, type Weather } from "./network.js";
import { type Oracle, parentKeyOf } from "./oracle.js";
import type { Server } from "./server.js";
import type { Instance, Process, World } from "./world.js";

const TTL_MS = 3_600_000;
/** Short enough for groups without a deadline to end by silence, between one message and the next. */
const SILENT_TTL_MS = 120_000;
const PUBLISH = { route: "handler:publish", body: "null" };
const TARGETS = [
  { end: PUBLISH },
  { end: PUBLISH },
  { success: PUBLISH, failure: PUBLISH },
  { complete: PUBLISH, timeout: PUBLISH },
];
const POLICIES = [
  { minSuccessful: 2 },
  { toleratedFailureCount: 0 },
  { toleratedFailurePpm: 400_000 },
  { toleratedFailureCount: 1, minSuccessful: 3 },
];

/** How long faults occur. Then they stop, and every promise has to come about. */
export const STORM_MS = 600_000;

type Registered = Omit<InputOf<"completion.register">, "op" | "deliveryId">;

/** What a few instances do with a few groups and a request, while the network and the instances fail. All by the seed. */
export class Scenario {
  readonly #world: World;
  readonly #instances: Instance[];
  readonly #weather: { -readonly [Kind in keyof Weather]: number };
  readonly #actors: Actors;
  /** Groups with fixed tasks alone, and messages that take up to a minute; else everything, within the time that operations are remembered. */
  readonly #isPlain: boolean;

  constructor(world: World, server: Server, oracle: Oracle) {
    this.#world = world;
    const worst = world.pick([0, 0.05, 0.3]);
    const some = (): number => world.random() * worst;
    this.#isPlain = world.chance(0.35);
    const slowMs = this.#isPlain ? 60_000 : 35_000;
    this.#weather = { lost: some(), replyLost: some(), doubled: some(), slow: some(), slowMs };
    const network = new Network(world, server, this.#weather);
    this.#instances = Array.from({ length: 2 + world.below(3) }, (_, i) => ({ name: `instance ${i}`, life: 0 }));
    this.#actors = new Actors(world, network, {
      oracle,
      earlyTtlMs: world.pick([300_000, 5_000]),
      message: (work) => this.#message(work),
    });
    server.onDue = (machine, id) => {
      const isCalm = world.chance(this.#weather.lost === 0 ? 1 : 0.7);
      if (machine === "completion" || machine === "request")
        world.spawn(this.#instance(), this.#actors.drain({ machine, id }, isCalm));
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
    for (let i = 0; i < groups; i++) {
      const id = `group-${i}`;
      if (this.#isPlain) this.#fixed(id);
      else if (world.chance(0.35)) this.#nested(id);
      else this.#growing(id);
    }
    this.#request("request");
  }

  #instance(): Instance {
    return this.#world.pick(this.#instances);
  }

  /** A message of a queue: handed out again until some instance has come to its end with it; now and then twice for nothing. */
  #message(work: Work): void {
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

  #later(ms: number, work: Work): void {
    this.#world.after(this.#world.below(ms), () => this.#world.spawn(this.#instance(), work()));
  }

  /** A registration without its tasks. */
  #base(fingerprint: string): Registered {
    const world = this.#world;
    const timeoutMs = world.pick([0, 0, 30_000, 120_000, 1_200_000]);
    return {
      fingerprint,
      kind: "named",
      total: 0,
      lists: [],
      timeoutMs,
      ttlMs: timeoutMs === 0 ? world.pick([TTL_MS, SILENT_TTL_MS, SILENT_TTL_MS]) : TTL_MS,
      ...(world.chance(0.8) ? { targets: world.pick(TARGETS) } : {}),
      ...(world.chance(0.2) ? { policy: world.pick(POLICIES) } : {}),
    };
  }

  /** A group whose tasks are known: named, counted or numbered. */
  #fixed(id: string): void {
    const world = this.#world;
    const place = { machine: "completion", id } as const;
    const kind = world.pick(["named", "named", "named", "counted", "indexed"] as const);
    const count = 1 + world.below(5);
    const tasks = Array.from({ length: count }, (_, i) => (kind === "indexed" ? String(i) : `task-${i}`));
    const input: Registered = {
      ...this.#base("spec"),
      kind,
      ...(kind === "named" ? { lists: [listOf("", tasks)] } : { total: count }),
    };
    this.#message(() => this.#actors.register(place, input));
    // Now and then a task that no worker does: its group ends by time alone.
    const done = world.chance(0.3) ? tasks.slice(1) : tasks;
    for (const task of done) this.#message(() => this.#actors.ack(place, { tasks: [{ id: task }] }));
    if (world.chance(0.2)) {
      const failures = tasks.map((task) => ({ id: task, error: "broken" }));
      this.#message(() => this.#actors.ack(place, { tasks: failures }));
    }
    this.#strangers(place, kind === "indexed" ? String(count) : "stranger");
    this.#visitors(place);
    for (const fingerprint of ["again", "once more"]) {
      if (!world.chance(0.25)) continue;
      this.#message(() => this.#actors.restart(place, { input: { ...input, fingerprint }, tasks }));
    }
  }

  /** An ack of a task that no call announces. */
  #strangers(place: { machine: Machine; id: string }, id: string): void {
    const error = this.#world.chance(0.5) ? "broken" : undefined;
    if (this.#world.chance(0.2))
      this.#later(60_000, () => this.#actors.ack(place, { tasks: [{ id, ...(error && { error }) }] }));
  }

  /** Those who end, follow, repair or remove a group. */
  #visitors(place: { machine: Machine; id: string }): void {
    const world = this.#world;
    const actors = this.#actors;
    if (world.chance(0.1)) this.#message(() => actors.cancel(place));
    if (world.chance(0.5)) this.#later(60_000, () => actors.follow(place));
    if (this.#isPlain) return;
    if (world.chance(0.2)) this.#later(200_000, () => actors.heartbeat(place));
    if (world.chance(0.2)) this.#later(60_000, () => actors.extend(place));
    for (let calls = world.below(3); calls > 0; calls--) this.#later(STORM_MS, () => actors.redeliver(place));
    if (world.chance(0.06)) this.#later(STORM_MS, () => actors.remove(place));
  }

  /** A group that grows: producers announce tasks, workers hand on to others, failures are tried again. */
  #growing(id: string): void {
    const world = this.#world;
    const place = { machine: "completion", id } as const;
    const stage = world.pick([undefined, undefined, "parse"]);
    const roots = Array.from({ length: 1 + world.below(5) }, (_, i) => `task-${i}`);
    const first = world.below(roots.length + 1);
    const idleMs = world.chance(0.25) ? world.pick([40_000, 300_000]) : undefined;
    const base = this.#base("spec");
    const input: Registered = {
      ...base,
      grows: true,
      lists: first > 0 ? [listOf(stage ?? "", roots.slice(0, first))] : [],
      ...(idleMs === undefined ? {} : { idleMs }),
    };
    this.#message(() => this.#actors.register(place, input));
    const added = roots.slice(first).map((root) => [listOf(stage ?? "", [root])]);
    this.#message(() => this.#actors.produce(place, added, world.chance(0.9)));
    for (const root of world.chance(0.2) ? roots.slice(1) : roots) {
      // Decided once: every copy of a message does the same.
      const next = world.chance(0.4) ? [`${root}-a`, `${root}-b`].slice(world.below(2)) : [];
      const error = world.chance(0.25) ? "broken" : undefined;
      this.#message(() =>
        this.#actors.work(
          place,
          { stage, id: root },
          { next, nextStage: stage === undefined ? undefined : "embed", error },
        ),
      );
    }
    if (world.chance(0.4))
      this.#message(() =>
        this.#actors.retry(
          place,
          roots.map((root) => ({ ...(stage && { stage }), id: root })),
        ),
      );
    this.#visitors(place);
    for (const fingerprint of ["again", "once more"]) {
      if (!world.chance(0.3)) continue;
      const keep = world.chance(0.7);
      const again: Registered = { ...input, fingerprint };
      this.#message(() => this.#actors.restart(place, { input: again, tasks: roots, keep, stage }));
    }
  }

  /** A group whose tasks are groups: each child settles its parent's task, and ends with the parent. */
  #nested(id: string): void {
    const world = this.#world;
    const place = { machine: "completion", id } as const;
    const tasks = Array.from({ length: 1 + world.below(3) }, (_, i) => `task-${i}`);
    const children: Announcement["children"] = tasks.map((task) => ({
      id: task,
      machine: "completion",
      groupId: `${id}-${task}`,
    }));
    const grows = world.chance(0.4);
    const input: Registered = {
      ...this.#base("spec"),
      lists: [listOf("", tasks)],
      ...(grows ? { grows } : {}),
      ...(world.chance(0.8) ? { children } : {}),
    };
    this.#message(() => this.#actors.register(place, input));
    if (grows) this.#message(() => this.#actors.produce(place, [], true));
    for (const task of tasks) {
      const child = { machine: "completion", id: `${id}-${task}` } as const;
      const key = parentKeyOf(`completion:${id}`, undefined, task);
      const body = JSON.stringify({ machine: "completion", id, taskId: task });
      const leaves = Array.from({ length: 1 + world.below(2) }, (_, i) => `leaf-${i}`);
      // Now and then a group that its parent names, and that names no parent.
      const parent = world.chance(0.85) ? { parent: { key, body } } : {};
      const made: Registered = { ...this.#base("child"), lists: [listOf("", leaves)], ...parent };
      const knowsParent = world.chance(0.5);
      this.#message(() => this.#actors.registerChild(child, made, knowsParent ? place : undefined));
      const error = world.chance(0.2) ? "broken" : undefined;
      for (const leaf of world.chance(0.2) ? leaves.slice(1) : leaves)
        this.#message(() => this.#actors.ack(child, { tasks: [{ id: leaf, ...(error && { error }) }] }));
      if (world.chance(0.1)) this.#message(() => this.#actors.cancel(child));
    }
    if (world.chance(0.3)) this.#message(() => this.#actors.cancel(place));
    this.#visitors(place);
    const again: Registered = { ...input, fingerprint: "again" };
    if (world.chance(0.3))
      this.#message(() => this.#actors.restart(place, { input: again, tasks: [], keep: world.chance(0.5) }));
    if (world.chance(0.15))
      this.#message(() => this.#actors.restart(place, { input: again, tasks: [], keep: false, cancels: true }));
  }

  #request(id: string): void {
    const world = this.#world;
    const place = { machine: "request", id } as const;
    const roots = Array.from({ length: world.below(4) }, (_, i) => `root-${i}`);
    // Without a seal it is complete, and ends as complete at its deadline.
    const seals = roots.length === 0 || world.chance(0.8);
    const input: Registered = {
      fingerprint: "request",
      kind: "named",
      total: 0,
      lists: [],
      request: true,
      grows: true,
      timeoutMs: seals ? 0 : 2.5 * STORM_MS,
      ttlMs: TTL_MS,
    };
    const lists = roots.length > 0 ? [listOf("parse", roots)] : [];
    this.#message(() => this.#actors.open(place, input, { lists, seals }));
    for (const root of roots) {
      const next = world.chance(0.5) ? [root] : [];
      const error = next.length === 0 && world.chance(0.3) ? "broken" : undefined;
      this.#message(() => this.#actors.work(place, { stage: "parse", id: root }, { next, nextStage: "embed", error }));
    }
    if (world.chance(0.3)) this.#later(60_000, () => this.#actors.count(place));
    for (let i = world.below(3); i > 0; i--) this.#later(60_000, () => this.#actors.wait(place));
    // A wait that begins after the end still gets it.
    world.after(2 * STORM_MS, () => world.spawn(this.#instance(), this.#actors.wait(place)));
    if (world.chance(0.1)) this.#later(STORM_MS, () => this.#actors.remove(place));
  }
}

/** A list of ids as a client sends it. */
export const listOf = (stage: string, ids: readonly string[]): string => JSON.stringify([stage, ...ids]);
