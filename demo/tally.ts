import type { GroupState, Verdict } from "../src/index.js";
import type { FromReceiver } from "./receiver.js";
import type { AckReport } from "./work.js";

/** What a waiter was told, and when. */
export interface Told {
  readonly state: GroupState;
  /** Milliseconds since 1970, with a fraction. */
  readonly atMs: number;
}

/** Everything that was seen during a run. */
export class Tally {
  readonly acks = new Map<Verdict, number>();
  ackRequests = 0;
  /** Acks that took one request, no more. */
  ackedAtOnce = 0;
  attempts = 0;
  repeats = 0;
  lostAnswers = 0;
  readonly refused: string[] = [];
  /** Effects by document, as the receiver told of them. */
  readonly effects = new Map<string, number>();
  readonly waiters = new Map<string, Told>();
  /** When the ack that ended a document was sent. */
  readonly lastAcks = new Map<string, number>();
  readonly #chunks = new Set<string>();

  /** How many chunks were acked at least once. */
  get chunks(): number {
    return this.#chunks.size;
  }

  acked({ documentId, chunk, verdict, ended, sentAtMs, requests }: AckReport): void {
    this.acks.set(verdict, (this.acks.get(verdict) ?? 0) + 1);
    this.ackRequests += requests;
    if (requests === 1) this.ackedAtOnce += 1;
    this.#chunks.add(`${chunk} ${documentId}`);
    if (ended) this.lastAcks.set(documentId, sentAtMs);
  }

  received(message: FromReceiver): void {
    if (message.type === "refused") this.refused.push(message.reason);
    else if (message.type === "lost") this.lostAnswers += 1;
    else if (message.type === "attempt") {
      this.attempts += 1;
      if (message.outcome === "repeat") this.repeats += 1;
      else this.effects.set(message.documentId, (this.effects.get(message.documentId) ?? 0) + 1);
    }
  }

  /** From sending a document's last ack until its waiter knew, in milliseconds; ascending. */
  latenciesMs(): number[] {
    const found: number[] = [];
    for (const [documentId, ackedAtMs] of this.lastAcks) {
      const told = this.waiters.get(documentId);
      // An ack whose reply was lost is sent again, perhaps after the waiter knew.
      if (told !== undefined) found.push(Math.max(0, told.atMs - ackedAtMs));
    }
    return found.sort((a, b) => a - b);
  }
}
