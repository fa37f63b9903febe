import { byteLength } from "../src/core/host.js";
import { MAX_ANSWER_BYTES } from "../src/core/limits.js";
import { problemOf } from "../src/http/problem.js";
import { PROTOCOL } from "../src/http/protocol.js";
import { NoRoom } from "../src/runtime/size.js";

/** What became of one operation of a batch. */
export interface OperationOutcome {
  /** `{ output }`, or what `problemOutcome` returns. */
  readonly outcome: object;
  /** What it means that the outcome is not told. */
  readonly applied: "no" | "unknown";
}

/** An outcome of this size is told even when the room is taken: what stands in its place is no shorter. */
const SMALL_BYTES = 512;

/** The answer to a batch, which holds about 4 MB: outcomes that have no room are replaced by a problem that says so. */
export class BatchAnswer {
  /** As texts: an outcome is let go of as soon as it is written. */
  readonly #texts: string[] = [];
  #bytes = 0;

  /** Adds the outcome of the operation at this place. Outcomes may come in any order. */
  add(at: number, { outcome, applied }: OperationOutcome): void {
    const text = JSON.stringify(outcome);
    const bytes = byteLength(text);
    const fits = this.#bytes === 0 || bytes <= SMALL_BYTES || this.#bytes + bytes <= MAX_ANSWER_BYTES;
    this.#texts[at] = fits ? text : JSON.stringify(problemOutcome(new NoRoom(applied)));
    if (fits) this.#bytes += bytes;
  }

  text(): string {
    return `{"protocol":${PROTOCOL},"outcomes":[${this.#texts.join()}]}`;
  }
}

/** Returns `{ problem, retryAfterSec?, noRoom? }`. `noRoom`: to be sent again at once, since others took the room. */
export function problemOutcome(error: unknown): object {
  const { body, retryAfterSec } = problemOf(error);
  if (error instanceof NoRoom) return { problem: body, noRoom: true };
  return { problem: body, ...(retryAfterSec === undefined ? {} : { retryAfterSec }) };
}
