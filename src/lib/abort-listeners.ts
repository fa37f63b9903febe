interface Listener {
  readonly runs: Set<() => void>;
  readonly stop: () => void;
}

/**
 * Listens to callers' signals, with one listener for each signal. Node prints `MaxListenersExceededWarning` at the
 * eleventh listener of a signal, and eleven waits with one signal are ordinary use.
 */
export class AbortListeners {
  readonly #bySignal = new WeakMap<AbortSignal, Listener>();

  /**
   * Calls `run` when the signal aborts. Returns a function that removes `run`. Does not call `run` for a signal that
   * has already aborted.
   */
  add(signal: AbortSignal, run: () => void): () => void {
    const listener = this.#bySignal.get(signal) ?? this.#listen(signal);
    // Two callers may add the same function.
    const own = (): void => run();
    listener.runs.add(own);
    return () => {
      if (listener.runs.delete(own) && listener.runs.size === 0) listener.stop();
    };
  }

  #listen(signal: AbortSignal): Listener {
    const runs = new Set<() => void>();
    const onAbort = (): void => {
      for (const run of [...runs]) if (runs.has(run)) run();
    };
    const stop = (): void => {
      signal.removeEventListener("abort", onAbort);
      this.#bySignal.delete(signal);
    };
    const listener: Listener = { runs, stop };
    this.#bySignal.set(signal, listener);
    signal.addEventListener("abort", onAbort, { once: true });
    return listener;
  }
}
