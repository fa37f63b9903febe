/** What must be closed at the end, however the end comes: the latest first, each once, none kept by another's failure. */
export class Closers {
  readonly #stack: (() => Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  /** Keeps something to be closed; at once if the end has come already. */
  add(close: () => Promise<void>): void {
    if (this.#closing === undefined) this.#stack.push(close);
    else void close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#run();
    return this.#closing;
  }

  async #run(): Promise<void> {
    for (let close = this.#stack.pop(); close !== undefined; close = this.#stack.pop()) {
      await close().catch(() => undefined);
    }
  }
}
