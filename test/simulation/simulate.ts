import { nameOfList } from "../../src/core/group/listing.js";
import type { GroupView } from "../../src/core/group/view.js";
import { machineOf } from "../../src/core/registry.js";
import type { IndexLine } from "../../src/core/store.js";
import { isListed } from "../../src/runtime/listing.js";
import { recordName } from "../../src/runtime/placement.js";
import { Oracle } from "./oracle.js";
import { Scenario, STORM_MS } from "./scenario.js";
import { Server } from "./server.js";
import { Violation } from "./violation.js";
import { World } from "./world.js";

const START_MS = 1_767_225_600_000;
/** Long enough after the storm for every retry, lease and deadline. */
const CALM_MS = 3_000_000;
/** Longer than all attempts of a delivery take when the network is well. */
const DELIVERY_MS = 600_000;
/** Longer than the TTL of anything, what is owed among it. */
const FOREVER_MS = 10 * 86_400_000;

/** Every so many steps the index is compared with what a reader sees. */
const CHECK_EVERY = 5;

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  /** What does not hold; undefined when all is well. */
  readonly violation: string | undefined;
  /** What happened, line by line. */
  readonly trace: () => readonly string[];
}

/** One run, from its seed alone: the same seed is the same run, to the last step. */
export function simulate(seed: number): Outcome {
  const world = new World(seed, START_MS);
  const oracle = new Oracle(world);
  let steps = 0;
  const server: Server = new Server(world, (transition, id, input, output) => {
    steps++;
    oracle.observe(transition, id, input, output);
    const machine = machineOf(transition);
    if (steps % CHECK_EVERY > 0 || !isListed(machine)) return;
    const status = server.statusOf(machine, id);
    if (status !== undefined) checkLine(server.lineOf(recordName(machine, id)), status.view);
  });
  const outcome = (violation: string | undefined): Outcome => ({ seed, steps, violation, trace: () => world.trace() });
  try {
    new Scenario(world, server, oracle).begin();
    runUntilSettled(world, server);
    for (const [machine, id] of server.names()) {
      const { view } = server.apply(`${machine as "completion"}.status`, id, {});
      checkLine(server.lineOf(recordName(machine, id)), view);
    }
    oracle.settled();
    world.run(START_MS + FOREVER_MS);
    if (server.alive > 0) throw new Violation(`${server.alive} records have no end`);
    return outcome(undefined);
  } catch (error) {
    return outcome(error instanceof Violation ? error.message : String((error as Error).stack));
  }
}

/** Runs through the calm, and on while a delivery of a group that has just ended may be under way. */
function runUntilSettled(world: World, server: Server): void {
  const calmUntilMs = START_MS + STORM_MS + CALM_MS;
  world.run(calmUntilMs);
  const mayBeDelivered = ([machine, id]: readonly [string, string]): boolean => {
    const status = server.statusOf(machine, id);
    // A status that is undefined is of a group that ends when it is read.
    return status === undefined || (status.view?.endedAtMs ?? 0) > world.nowMs - DELIVERY_MS;
  };
  while (world.nowMs < calmUntilMs + 10 * DELIVERY_MS && server.names().some(mayBeDelivered)) {
    world.run(world.nowMs + DELIVERY_MS);
  }
}

/** The index lists every group that a reader sees, by its state and its instant, and nothing else. */
function checkLine(line: IndexLine | undefined, view: GroupView | undefined): void {
  const hasLine = line !== undefined;
  if (hasLine !== (view !== undefined)) throw new Violation(`a group is ${hasLine ? "listed and gone" : "not listed"}`);
  if (line === undefined || view === undefined) return;
  const [state, owed] = nameOfList(line.list).split(".");
  if (state !== view.state) throw new Violation(`a group that is ${view.state} is listed as ${state}`);
  if (line.atMs !== (view.endedAtMs ?? view.registeredAtMs)) throw new Violation("a line has another instant");
  const { state: delivery } = view.delivery;
  if (delivery === "dead" && owed !== "dead") throw new Violation("a dead letter is not listed");
  if (delivery === "pending" && owed === undefined) throw new Violation("a pending delivery is not listed");
}
