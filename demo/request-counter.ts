import { AsyncLocalStorage } from "node:async_hooks";

/** Counts the HTTP requests that a piece of work makes, wherever in it they are made. */
export class RequestCounter {
  readonly #tally = new AsyncLocalStorage<{ requests: number }>();

  /** Puts itself in front of this process's `fetch`. */
  install(): void {
    const original = globalThis.fetch;
    globalThis.fetch = async (...args) => {
      const tally = this.#tally.getStore();
      try {
        return await original(...args);
      } finally {
        if (tally !== undefined) tally.requests += 1;
      }
    };
  }

  /** The work's value, and how many requests it took: those that were over by then, not what it set going for later. */
  async count<T>(run: () => Promise<T>): Promise<{ value: T; requests: number }> {
    const tally = { requests: 0 };
    const value = await this.#tally.run(tally, run);
    return { value, requests: tally.requests };
  }
}
