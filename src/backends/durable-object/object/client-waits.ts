import type { WatchClient, WatchReply } from "../protocol.js";
import { LargeReplies } from "./large-replies.js";

/** The open waits of other instances, by the tickets with which they end them. */
export class ClientWaits {
  readonly #open = new Map<string, AbortController>();
  readonly #replies = new LargeReplies();

  /** Waits, and returns the output. A client takes a large one by a call of its own. */
  async open(client: WatchClient | undefined, wait: (signal: AbortSignal) => Promise<object>): Promise<WatchReply> {
    const left = new AbortController();
    if (client === undefined) return { ok: true, output: await wait(left.signal) };
    this.#open.set(client.ticket, left);
    try {
      const output = await wait(left.signal);
      if (!this.#replies.isLarge(output)) return { ok: true, output };
      await this.#replies.send(async () => client.take({ ok: true, output }));
      return { ok: true, isTaken: true };
    } finally {
      this.#open.delete(client.ticket);
    }
  }

  /** Ends a wait whose client has disconnected. */
  leave(ticket: string): void {
    this.#open.get(ticket)?.abort();
  }
}
