import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { lostAnswer } from "../../src/runtime/access.js";
import type { Server } from "./server.js";
import type { Waiting, World } from "./world.js";

/** How bad the network is: chances from 0 to 1. */
export interface Weather {
  readonly lost: number;
  readonly replyLost: number;
  readonly doubled: number;
  /** Messages that are slow. */
  readonly slow: number;
  /** How long these take at most. */
  readonly slowMs: number;
}

/** The outcome of a call: an answer, or that there was none. */
export type Answer<N extends TransitionName> = { readonly output: OutputOf<N> } | { readonly output: undefined };

const TIMEOUT_MS = 10_000;
const SENDS = 3;
/** Calls whose operation is remembered for a minute: no copy of them comes later. */
const REMEMBERED = /\.(add|seal|count|retry|extend)$/;
const REMEMBERED_SLOW_MS = 35_000;

/** Between the instances and the server: delays, drops, doubles and reorders what is sent, and what is answered. */
export class Network {
  readonly #world: World;
  readonly #server: Server;
  readonly #weather: Weather;

  constructor(world: World, server: Server, weather: Weather) {
    this.#world = world;
    this.#server = server;
    this.#weather = weather;
  }

  /** One call: sent again when no answer comes, since its input carries its id. `output` is undefined when none came at all. */
  *call<N extends TransitionName>(transition: N, id: string, input: InputOf<N>): Generator<Waiting, Answer<N>, never> {
    const sends = lostAnswer(transition) === "no" ? 1 : SENDS;
    for (let i = 0; i < sends; i++) {
      const output = (yield { call: (resume) => this.#send(transition, id, input, resume) }) as unknown;
      if (output !== undefined) return { output: output as OutputOf<N> };
    }
    return { output: undefined };
  }

  #send<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    resume: (answer: unknown) => void,
  ): void {
    const world = this.#world;
    let isOver = false;
    const settle = (answer: unknown): void => {
      if (isOver) return;
      isOver = true;
      resume(answer);
    };
    world.after(TIMEOUT_MS, () => settle(undefined));
    const { slowMs: anyMs } = this.#weather;
    const slowMs = REMEMBERED.test(transition) ? Math.min(anyMs, REMEMBERED_SLOW_MS) : anyMs;
    const copies = world.chance(this.#weather.doubled) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (world.chance(this.#weather.lost)) continue;
      world.after(this.#delayMs(slowMs), () => {
        const output = this.#server.apply(transition, id, input);
        if (!world.chance(this.#weather.replyLost)) world.after(this.#delayMs(slowMs), () => settle(output));
      });
    }
  }

  #delayMs(slowMs: number): number {
    const world = this.#world;
    return world.chance(this.#weather.slow) ? world.below(slowMs) : 1 + world.below(100);
  }
}
