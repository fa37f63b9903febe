import { coordinatorOver } from "../../../src/coordinator.js";
import { type Coordinator, isDrainable } from "../../../src/index.js";
import type { EveryMethod } from "../../../src/runtime/forwarding-backend.js";

/** What every call is made with. */
interface Bounds {
  readonly signal?: AbortSignal;
  /** False: each request is sent once. */
  readonly resend?: false;
}

/** A coordinator whose every call has the caller's bounds, so that any public operation can be left in its middle. */
export function bounded(inner: Coordinator, bounds: Bounds): Coordinator {
  const { signal } = bounds;
  const backend: EveryMethod = {
    run: (transition, id, input, options) => inner.run(transition, id, input, { ...options, ...bounds }),
    watch: (transition, id, input, options) => inner.watch(transition, id, input, { ...options, signal }),
    onWake: (machine, wake) => inner.onWake(machine, wake),
    list: (query, options) => inner.list(query, { ...options, signal }),
    drain: isDrainable(inner) ? (options) => inner.drain({ ...options, signal }) : undefined,
  };
  return coordinatorOver(backend, inner);
}
