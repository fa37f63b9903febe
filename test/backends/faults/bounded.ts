import { type Backend, Coordinator, DrainableCoordinator, isDrainable } from "../../../src/index.js";

/** What every call is made with. */
interface Bounds {
  readonly signal?: AbortSignal;
  /** False: each request is sent once. */
  readonly resend?: false;
}

/** A coordinator whose every call has the caller's bounds, so that any public operation can be left in its middle. */
export function bounded(inner: Coordinator, bounds: Bounds): Coordinator {
  const { signal } = bounds;
  const backend: Backend = {
    run: (transition, id, input, options) => inner.run(transition, id, input, { ...options, ...bounds }),
    watch: (transition, id, input, options) => inner.watch(transition, id, input, { ...options, signal }),
    onWake: (machine, wake) => inner.onWake(machine, wake),
    list: (query, options) => inner.list(query, { ...options, signal }),
  };
  const settings = { isDistributed: inner.isDistributed, ttlSec: inner.defaultTtlSec };
  if (!isDrainable(inner)) return new Coordinator(backend, settings);
  return new DrainableCoordinator({ ...backend, drain: (options) => inner.drain({ ...options, signal }) }, settings);
}
