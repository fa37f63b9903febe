import type { TransitionName } from "../../../src/core/registry.js";
import { isMeant } from "../../../src/runtime/waiters.js";
import { Network, type Weather } from "../network.js";
import { Server } from "../server.js";
import type { Outcome } from "../simulate.js";
import { Violation } from "../violation.js";
import { type Process, type Waiting, World } from "../world.js";

const START_MS = 1_767_225_600_000;

/** How the backend wakes records and waiters. */
export interface Mode {
  /** The record's timer rings, as an alarm does. */
  readonly hasTimers: boolean;
  /** How many notifications are lost, from 0 to 1. */
  readonly unheard: number;
  /** The server's clock jumps. */
  readonly jumps: boolean;
}

export const MODES: readonly Mode[] = [
  { hasTimers: true, unheard: 0, jumps: false },
  { hasTimers: false, unheard: 0.2, jumps: false },
  { hasTimers: true, unheard: 0, jumps: true },
  { hasTimers: false, unheard: 0.2, jumps: true },
];

/** One run's world, server and network. */
export class Turns {
  readonly world: World;
  readonly server: Server;
  readonly network: Network;
  readonly mode: Mode;
  /** Every process that must come to its end. */
  open = 0;
  steps = 0;
  #waiting = new Map<() => void, string | undefined>();

  constructor(seed: number, observe: (transition: TransitionName, input: unknown, output: unknown) => void) {
    const world = new World(seed, START_MS);
    this.world = world;
    this.mode = MODES[seed % MODES.length] as Mode;
    this.server = new Server(world, (transition, _id, input, output) => {
      this.steps++;
      world.say(() => `${transition} ${JSON.stringify(input)} ${JSON.stringify(output)}`);
      observe(transition, input, output);
    });
    const storm: Weather = { lost: 0.1, replyLost: 0.1, doubled: 0.15, slow: 0.05, slowMs: 60_000 };
    this.network = new Network(world, this.server, world.chance(0.2) ? CALM : storm);
    this.server.onNotify = (_machine, _id, topics) => this.#notify(topics);
  }

  /** The server's time. */
  get nowMs(): number {
    return this.world.nowMs + this.server.aheadMs;
  }

  /** Waits until a notification arrives, for all or for the topic, or until the time is over. */
  *notified(mostMs: number, topic?: string): Generator<Waiting, void, never> {
    yield {
      call: (resume) => {
        let isOver = false;
        const once = (): void => {
          if (isOver) return;
          isOver = true;
          this.#waiting.delete(once);
          resume(undefined);
        };
        this.#waiting.set(once, topic);
        this.world.after(Math.max(1, mostMs), once);
      },
    };
  }

  /** Starts a process that must end, unless its instance dies. Instances die during the storm. */
  spawn(name: string, process: (instance: { name: string; life: number }) => Process, mortality: number): void {
    const { world } = this;
    const instance = { name, life: 0 };
    let isOpen = true;
    this.open++;
    const close = (): void => {
      if (isOpen) this.open--;
      isOpen = false;
    };
    const whole = function* (): Process {
      yield* process(instance);
      close();
    };
    world.spawn(instance, whole());
    if (world.chance(mortality)) {
      world.after(world.below(90_000), () => {
        if (!isOpen) return;
        world.kill(instance);
        close();
      });
    }
  }

  /** Lets the server's clock jump a few times, forwards and backwards. */
  jumpClock(): void {
    if (!this.mode.jumps) return;
    const { world, server } = this;
    for (let i = world.below(4); i >= 0; i--) {
      world.after(world.below(120_000), () => {
        const aheadMs = server.aheadMs + world.pick([-80_000, -5_000, -10, 10, 5_000, 80_000]);
        server.aheadMs = aheadMs;
        world.say(() => `the clock jumps to ${aheadMs} ms ahead`);
      });
    }
  }

  #notify(topics: readonly string[]): void {
    const { world, mode } = this;
    for (const [wake, topic] of [...this.#waiting]) {
      if (!isMeant(topics, topic)) continue;
      if (!world.chance(mode.unheard)) world.after(mode.hasTimers ? 1 : 1 + world.below(50), wake);
    }
  }
}

const CALM: Weather = { lost: 0, replyLost: 0, doubled: 0, slow: 0, slowMs: 0 };

/** Runs one simulation to its end. @param limitMs after which every process must have ended. */
export function outcomeOf(seed: number, turns: Turns, begin: () => void, limitMs: number): Outcome {
  const { world } = turns;
  const outcome = (violation: string | undefined): Outcome => ({
    seed,
    steps: turns.steps,
    violation,
    trace: () => world.trace(),
  });
  try {
    begin();
    world.run(START_MS + limitMs);
    if (turns.open > 0) throw new Violation(`${turns.open} callers wait for ever`);
    return outcome(undefined);
  } catch (error) {
    return outcome(error instanceof Violation ? error.message : String((error as Error).stack));
  }
}
