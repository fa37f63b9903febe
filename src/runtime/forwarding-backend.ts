import type { InputOf, OutputOf, TransitionName } from "../core/registry.js";
import type {
  Backend,
  Drainable,
  Listing,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "./backend.js";
import type { ListAnswer, ListQuery } from "./listing.js";

/**
 * Every method of a backend, the optional ones too. A class that implements it does not compile when `Backend` has a
 * method that the class does not name.
 */
export type EveryMethod = { readonly [M in keyof Required<Backend>]: Backend[M] };

/** A backend that passes each call on to another one. A wrapper extends it, and overrides what it changes. */
export class ForwardingBackend implements EveryMethod {
  readonly #inner: Backend & Listing;
  /** Absent where the other backend cannot be drained. */
  readonly drain: Drainable["drain"] | undefined;

  constructor(inner: Backend & Listing) {
    this.#inner = inner;
    this.drain = inner.drain?.bind(inner);
  }

  run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    return this.#inner.run(transition, id, input, options);
  }

  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#inner.watch(transition, id, input, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#inner.onWake(machine, wake);
  }

  list(query: ListQuery, options?: Pick<RunOptions, "signal">): Promise<ListAnswer> {
    return this.#inner.list(query, options);
  }
}
