import fc from "fast-check";
import { equal, isTrue, matches, present, rejects } from "../../src/testing/assert.js";
import { CoalesceTracker } from "../../src/trackers/coalesce.js";
import { DedupeWindow } from "../../src/trackers/dedupe.js";
import { RequestStatsAccumulator } from "../../src/trackers/stats.js";
import { ClaimModel, StatsModel, VersionsModel } from "./small-models.js";
import { UNIT_MS, type World } from "./world.js";

const SPAN_MS = 1.4 * UNIT_MS;
const KEYS = ["one", "two"] as const;
/** One more than are tracked. */
const IDS = ["a", "b", "c"] as const;
const MAX_TRACKED = 2;

type Key = (typeof KEYS)[number];

export type SmallStep = { readonly client: number } & (
  | { readonly step: "next"; readonly key: Key }
  | { readonly step: "supersede"; readonly key: Key; readonly fails: boolean }
  | { readonly step: "stale"; readonly key: Key; readonly which: number }
  | { readonly step: "claim"; readonly key: Key }
  | { readonly step: "release"; readonly key: Key }
  | { readonly step: "run"; readonly key: Key; readonly fails: boolean }
  | { readonly step: "merge"; readonly id: string; readonly processed: number; readonly errorCount: number }
  | { readonly step: "consume"; readonly id: string }
  | { readonly step: "copy"; readonly of: number }
  | { readonly step: "advance"; readonly halves: number; readonly justBefore: boolean }
);

const key = fc.constantFrom<Key>("one", "one", "one", "two");
const id = fc.constantFrom(...IDS, "");

interface Weighted {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<object>;
}

const VERSIONS: readonly Weighted[] = [
  { weight: 3, arbitrary: fc.record({ step: fc.constant("next"), key }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("supersede"), key, fails: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ step: fc.constant("stale"), key, which: fc.nat(4) }) },
];

const CLAIMS: readonly Weighted[] = [
  { weight: 6, arbitrary: fc.record({ step: fc.constantFrom("claim", "claim", "release"), key }) },
  { weight: 4, arbitrary: fc.record({ step: fc.constant("run"), key, fails: fc.boolean() }) },
];

const COUNTS: readonly Weighted[] = [
  { weight: 6, arbitrary: fc.record({ step: fc.constant("merge"), id, processed: fc.nat(3), errorCount: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("consume"), id }) },
];

const ALWAYS: readonly Weighted[] = [
  { weight: 3, arbitrary: fc.record({ step: fc.constant("copy"), of: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ step: fc.constant("advance"), halves: fc.constantFrom(1, 2, 3), justBefore: fc.boolean() }),
  },
];

/** Random steps of one of the small trackers. */
export const smallSteps = (length: fc.ArrayConstraints): fc.Arbitrary<SmallStep[]> =>
  fc.oneof(
    ...[VERSIONS, CLAIMS, COUNTS].map((own) =>
      fc.array(
        fc
          .tuple(fc.record({ client: fc.nat(1) }), fc.oneof(...own, ...ALWAYS))
          .map(([where, step]) => ({ ...where, ...step }) as SmallStep),
        length,
      ),
    ),
  );

/** Takes steps against a backend, and holds what it answers against the models. */
export class SmallRun {
  readonly #world: World;
  readonly #clients: readonly {
    readonly versions: CoalesceTracker;
    readonly window: DedupeWindow;
    readonly stats: RequestStatsAccumulator;
  }[];
  readonly #versions = new Map<Key, VersionsModel>(KEYS.map((one) => [one, new VersionsModel(SPAN_MS)]));
  readonly #claims = new Map<Key, ClaimModel>(KEYS.map((one) => [one, new ClaimModel(SPAN_MS)]));
  readonly #stats = new StatsModel(MAX_TRACKED, SPAN_MS);
  readonly #calls: { readonly op: string; readonly atMs: number; readonly send: (op: string) => Promise<string> }[] =
    [];

  constructor(world: World) {
    this.#world = world;
    const namespace = world.id("small");
    const ttlSec = SPAN_MS / 1_000;
    this.#clients = world.clients.map((client) => ({
      versions: new CoalesceTracker(client, { namespace, ttlSec }),
      window: new DedupeWindow(client, { namespace, windowSec: ttlSec }),
      stats: new RequestStatsAccumulator(client, namespace, { maxTracked: MAX_TRACKED, ttlSec }),
    }));
  }

  async take(step: SmallStep): Promise<void> {
    if (step.step === "advance") return this.#advance(step.halves, step.justBefore);
    if (step.step === "copy") return this.#copy(step.of);
    if (step.step === "stale") return this.#stale(step);
    if (step.step === "supersede") return this.#supersede(step);
    if (step.step === "run") return this.#run(step);
    const send = this.#sending(step);
    this.#calls.push({ op: await send(undefined), atMs: this.#world.nowMs, send });
  }

  async finish(): Promise<void> {
    for (const one of KEYS.filter((name) => this.#versionsOf(name).issued.length > 0)) {
      for (const which of [0, 1]) await this.#stale({ client: 0, step: "stale", key: one, which });
    }
    for (const one of this.#stats.ids) await this.#sending({ client: 0, step: "consume", id: one })(undefined);
  }

  /** Within the minute in which calls are known. */
  async #copy(of: number): Promise<void> {
    const known = this.#calls.filter(({ atMs }) => atMs === this.#world.nowMs);
    const call = known[of % Math.max(1, known.length)];
    if (call === undefined) return;
    this.#world.tally.met("a late copy");
    await call.send(call.op);
  }

  #sending(step: Extract<SmallStep, { step: "next" | "claim" | "release" | "merge" | "consume" }>) {
    if (step.step === "next") return this.#next(step);
    if (step.step === "claim" || step.step === "release") return this.#claim(step);
    return this.#count(step);
  }

  #next(step: Extract<SmallStep, { step: "next" }>) {
    const { versions } = this.#client(step);
    const model = this.#versionsOf(step.key);
    return async (copied: string | undefined): Promise<string> => {
      const { outcome, op } = await this.#world.call(() => versions.next(step.key), copied);
      if ("error" in outcome) throw new Error(`next: ${outcome.error}`);
      this.#issued(model, op, outcome.value, false);
      return op;
    };
  }

  #issued(model: VersionsModel, op: string, version: number, isHeld: boolean): void {
    const before = model.issuedBy(op);
    if (before !== undefined) {
      equal(version, before, "the version of a late copy");
      return;
    }
    isTrue(
      model.issued.every((older) => older < version),
      "versions grow",
    );
    model.issue(op, version, isHeld, this.#world.nowMs);
  }

  async #supersede(step: Extract<SmallStep, { step: "supersede" }>): Promise<void> {
    const { versions } = this.#client(step);
    const model = this.#versionsOf(step.key);
    const lost = new Error("the queue is full");
    let sent = 0;
    const send = (version: number): void => {
      sent = version;
      this.#issued(model, this.#world.lastOp, version, true);
      if (step.fails) throw lost;
    };
    const end = await versions.supersede(step.key, send).catch((error: unknown) => error);
    equal(end, step.fails ? lost : sent, "supersede");
    if (!step.fails) model.see(sent, this.#world.nowMs);
    this.#world.tally.met(step.fails ? "a version that was not sent" : "a version that was sent");
  }

  async #stale(step: Extract<SmallStep, { step: "stale" }>): Promise<void> {
    const { versions } = this.#client(step);
    const model = this.#versionsOf(step.key);
    const version = model.issued.at(-1 - step.which) ?? Number.MAX_SAFE_INTEGER;
    const expected = model.see(version, this.#world.nowMs);
    equal(await versions.isStale(step.key, version), expected, "isStale");
    this.#world.tally.met(expected ? "a stale version" : "a fresh version");
  }

  #claim(step: Extract<SmallStep, { step: "claim" | "release" }>) {
    const { window } = this.#client(step);
    const model = this.#claimOf(step.key);
    return async (copied: string | undefined): Promise<string> => {
      const call = step.step === "claim" ? () => window.claim(step.key) : () => window.release(step.key);
      const { outcome, op } = await this.#world.call(call, copied);
      const expected = step.step === "claim" ? model.claim(op, this.#world.nowMs) : model.release(op);
      equal(outcome, { value: expected }, step.step);
      this.#world.tally.met(`${step.step} ${expected}`);
      return op;
    };
  }

  /** The work of a run; another's claim meanwhile is refused. */
  async #run(step: Extract<SmallStep, { step: "run" }>): Promise<void> {
    const { window } = this.#client(step);
    const model = this.#claimOf(step.key);
    const broken = new Error("broken");
    let holder: string | undefined;
    const work = async (): Promise<string> => {
      holder = this.#world.lastOp;
      isTrue(model.begin(holder, this.#world.nowMs), "work runs when the key is free");
      equal(await window.claim(step.key), false, "a claim meanwhile");
      if (step.fails) throw broken;
      return "done";
    };
    const end = await window.run(step.key, work).catch((error: unknown) => error);
    if (holder === undefined) {
      if (model.isDone) equal(end, { outcome: "replayed", value: "done", kept: true }, "run");
      else matches(end, { outcome: "in_progress" }, "run");
      isTrue(!model.begin(this.#world.lastOp, this.#world.nowMs), "another call has the key");
    } else {
      equal(end, step.fails ? broken : { outcome: "ran", value: "done", kept: true }, "run");
      if (step.fails) model.fail(holder);
      else model.finish();
    }
    this.#world.tally.met(`run ${holder === undefined ? "refused" : step.fails ? "failed" : "done"}`);
  }

  #count(step: Extract<SmallStep, { step: "merge" | "consume" }>) {
    const { stats } = this.#client(step);
    return async (copied: string | undefined): Promise<string> => {
      if (step.id === "") {
        await rejects(() => stats.consume(""), "invalid_input", "an empty id");
        await rejects(() => stats.merge("", { processed: 1 }), "invalid_input", "an empty id");
        return "";
      }
      if (step.step === "consume") {
        const { outcome, op } = await this.#world.call(() => stats.consume(step.id), copied);
        const expected = this.#stats.consume(op, step.id);
        equal(outcome, { value: expected }, "consume");
        this.#world.tally.met(expected === null ? "consume nothing" : "consume");
        return op;
      }
      const { processed, errorCount } = step;
      const { op } = await this.#world.call(() => stats.merge(step.id, { processed, errorCount }), copied);
      const { evicted } = this.#stats;
      this.#stats.merge(op, step.id, { processed, requeueCount: 0, errorCount }, this.#world.nowMs);
      this.#world.tally.met(this.#stats.evicted > evicted ? "merge, and another id goes" : "merge");
      return op;
    };
  }

  async #advance(halves: number, isJustBefore: boolean): Promise<void> {
    await this.#world.advance(halves, { isJustBefore });
    const { nowMs, tally } = this.#world;
    for (const model of this.#versions.values()) if (model.tick(nowMs)) tally.met("a key is forgotten");
    for (const model of this.#claims.values()) if (model.tick(nowMs)) tally.met("a window is over");
    if (this.#stats.tick(nowMs)) tally.met("counts are over");
  }

  #versionsOf(one: Key): VersionsModel {
    return present(this.#versions.get(one), "the model");
  }

  #claimOf(one: Key): ClaimModel {
    return present(this.#claims.get(one), "the model");
  }

  #client({ client }: { readonly client: number }) {
    return present(this.#clients[client], "the client");
  }
}
