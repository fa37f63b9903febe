import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Harness } from "../../src/testing/index.js";
import { count, reached, runs } from "../support/figures.js";
import { GroupRun } from "./group-commands.js";
import { groupSteps } from "./group-steps.js";
import { RequestRun } from "./request-commands.js";
import { requestSteps } from "./request-steps.js";
import { SmallRun, smallSteps } from "./small-commands.js";
import { Tally } from "./tally.js";
import { World } from "./world.js";

/** A run of one model: takes steps one after another, and looks around when they are over. */
interface Run {
  take(step: never): Promise<void>;
  finish(): Promise<void>;
}

interface Model {
  readonly name: string;
  /** Its part of the runs. */
  readonly share: number;
  readonly steps: (length: fc.ArrayConstraints) => fc.Arbitrary<object[]>;
  readonly begin: (world: World) => Run;
  /** What the runs must have met together. */
  readonly meets: readonly string[];
}

const MODELS: readonly Model[] = [
  {
    name: "groups",
    share: 0.5,
    steps: groupSteps,
    begin: (world) => new GroupRun(world),
    meets: [
      ...["created", "created again", "created again, kept", "exists"].map((outcome) => `register ${outcome}`),
      ...["conflict", "restart_lost"].map((outcome) => `register ${outcome}`),
      ...["accepted", "duplicate", "early", "late", "cancelled", "unknown"].map((verdict) => `ack ${verdict}`),
      ...["added", "sealed", "late", "unknown", "refused"].map((outcome) => `add ${outcome}`),
      ...["sealed", "already", "unknown"].map((outcome) => `seal ${outcome}`),
      ...["retried", "late", "unknown"].map((outcome) => `retry ${outcome}`),
      ...["open", "completed", "failed", "timed_out", "cancelled"].map((state) => `group ${state}`),
      ...["counted", "unknown", "conflict"].map((outcome) => `decrement ${outcome}`),
      ...["made", "dead", "passed by"].map((end) => `delivery ${end}`),
      ...["deliveries of two generations", "redelivered", "a wait that was told", "a late copy"],
      ...["ended by its deadline", "ended by idleness", "ended by silence", "expired"],
      ...["heartbeat", "tasks", "remove true", "remove false"],
    ],
  },
  {
    name: "requests",
    share: 0.3,
    steps: requestSteps,
    begin: (world) => new RequestRun(world),
    meets: [
      "register created pending",
      ...["pending", "complete", "cancelled"].flatMap((state) => [`register exists ${state}`, `remove true ${state}`]),
      ...["done", "failed"].flatMap((step) => [
        ...["accepted", "duplicate", "early"].flatMap((verdict) => [
          `${step} ${verdict} pending`,
          `${step} ${verdict} complete`,
        ]),
        ...["late complete", "late timed_out", "early unknown"].map((told) => `${step} ${told}`),
      ]),
      ...["done", "failed", "count"].map((step) => `${step} cancelled cancelled`),
      ...["done", "failed", "count", "add", "seal", "cancel", "abandon"].map((step) => `${step} unknown unknown`),
      ...["accepted pending", "accepted complete", "late complete"].map((told) => `count ${told}`),
      ...["added pending", "added complete", "sealed pending"].map((told) => `add ${told}`),
      ...["complete", "cancelled", "timed_out"].map((state) => `add late ${state}`),
      ...["cancelled cancelled", "joined pending", "joined complete"].map((told) => `abandon ${told}`),
      ...["pending", "complete", "cancelled", "timed_out"].map((state) => `abandon late ${state}`),
      ...["pending", "complete", "cancelled", "timed_out", "unknown"].map((state) => `request ${state}`),
      ...["seal sealed pending", "seal sealed complete", "cancel cancelled cancelled", "remove false unknown"],
      ...["progress", "ended by silence", "expired"],
      ...["a late copy", "a late copy from an earlier life", "a wait that was told"],
    ],
  },
  {
    name: "versions, claims and counts",
    share: 0.2,
    steps: smallSteps,
    begin: (world) => new SmallRun(world),
    meets: [
      ...["a stale version", "a fresh version", "a version that was sent", "a version that was not sent"],
      ...["claim true", "claim false", "release true", "release false", "run done", "run failed", "run refused"],
      ...["merge", "merge, and another id goes", "consume", "consume nothing", "a late copy"],
      ...["a key is forgotten", "a window is over", "counts are over"],
    ],
  },
];

type MakeHarness = (label: string) => Harness | Promise<Harness>;

/** How the runs go on one backend. */
export interface ModelOptions {
  /** How many runs. Default: `RUNS_T2`, or 1,000. */
  readonly runs?: number;
  /** At most so many steps a run. */
  readonly steps: number;
  /** So many runs at once. */
  readonly lanes: number;
  /** The harness's clock stands still but for `advance`, and moves over each instant. Default false. */
  readonly isExact?: boolean;
}

const DEFAULT_SEED = 20_260_101;
/** Long enough to make a failing run short. */
const PATIENCE_MS = 240_000;

/**
 * Runs random steps against a backend and against models of what the documents promise; each difference is a violation.
 * `RUNS_T2` says how many runs, `RUNS_T2_SEED` where they begin.
 */
export function runModelTests(backend: string, make: MakeHarness, options: ModelOptions): void {
  const sum = options.runs ?? runs("T2", 1_000);
  const seed = runs("T2_SEED", DEFAULT_SEED);
  const patienceMs = PATIENCE_MS * Math.ceil(sum / 1_000);
  describe(`model: ${backend}`, () => {
    const tallies: Tally[] = [];
    for (const model of MODELS) {
      it(`${model.name} behave as promised, seed ${seed}`, { timeout: patienceMs + 60_000 }, async () => {
        const tally = new Tally();
        tallies.push(tally);
        const numRuns = Math.ceil((sum * model.share) / options.lanes);
        const lanes = Array.from({ length: options.lanes }, (_, lane) =>
          fc.assert(property(model, make, options, tally), {
            seed: seed + lane,
            numRuns,
            interruptAfterTimeLimit: patienceMs,
            markInterruptAsFailure: true,
          }),
        );
        await Promise.all(lanes);
        if (options.isExact) expect(tally.missing(model.meets)).toEqual([]);
      });
    }
    it("is what so many runs have shown", ({ task }) => {
      const made = tallies.reduce((total, tally) => total + tally.runs, 0);
      const commands = tallies.reduce((total, tally) => total + tally.commands, 0);
      reached(task, { row: "T2", backend, reached: `${count(made)} runs, ${count(commands)} commands, 0 violations` });
      expect(made).toBeGreaterThanOrEqual(sum);
    });
  });
}

let worlds = 0;

function property(model: Model, make: MakeHarness, options: ModelOptions, tally: Tally) {
  const length = { minLength: 1, maxLength: options.steps, size: "max" } as const;
  return fc.asyncProperty(model.steps(length), fc.nat(), async (steps, seed) => {
    const label = `r${++worlds}`;
    const isExact = options.isExact === true;
    const world = new World({ harness: await make(label), label, isExact, tally, seed });
    try {
      const run = model.begin(world);
      for (const step of steps) await run.take(step as never);
      await run.finish();
    } finally {
      world.leave();
    }
    tally.runs++;
    tally.commands += steps.length;
  });
}
