import type {
  Coordinator,
  DrainOptions,
  InputOf,
  OutputOf,
  RunOptions,
  TransitionName,
  WatchableTransition,
  WatchOptions,
} from "../../../src/index.js";
import { Primitives } from "../../../src/primitives.js";

/** A coordinator whose every call has the caller's signal, so that any public operation can be left in its middle. */
export class Signalled extends Primitives {
  readonly isDistributed: boolean;
  readonly defaultTtlSec: number;
  readonly #inner: Coordinator;
  readonly #signal: AbortSignal;

  constructor(inner: Coordinator, signal: AbortSignal) {
    super();
    this.#inner = inner;
    this.#signal = signal;
    this.isDistributed = inner.isDistributed;
    this.defaultTtlSec = inner.defaultTtlSec;
    if (inner.drain !== undefined)
      this.drain = (options?: DrainOptions) => inner.drain?.({ ...options, signal }) as never;
  }

  run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    return this.#inner.run(transition, id, input, { ...options, signal: this.#signal });
  }

  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#inner.watch(transition, id, input, { ...options, signal: this.#signal });
  }

  onWake: Coordinator["onWake"] = (machine, wake) => this.#inner.onWake(machine, wake);
}
