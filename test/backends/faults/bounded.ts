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
import { Primitives } from "../../../src/runtime/primitives.js";

/** What every call is made with. */
interface Bounds {
  readonly signal?: AbortSignal;
  /** False: each request is sent once. */
  readonly resend?: false;
}

/** A coordinator whose every call has the caller's bounds, so that any public operation can be left in its middle. */
export class Bounded extends Primitives {
  readonly isDistributed: boolean;
  readonly defaultTtlSec: number;
  readonly #inner: Coordinator;
  readonly #bounds: Bounds;

  constructor(inner: Coordinator, bounds: Bounds) {
    super();
    this.#inner = inner;
    this.#bounds = bounds;
    const { signal } = bounds;
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
    return this.#inner.run(transition, id, input, { ...options, ...this.#bounds });
  }

  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#inner.watch(transition, id, input, { ...options, signal: this.#bounds.signal });
  }

  onWake: Coordinator["onWake"] = (machine, wake) => this.#inner.onWake(machine, wake);
}
