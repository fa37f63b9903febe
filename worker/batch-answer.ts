import { byteLength } from "../src/core/host.js";
import { MAX_ANSWER_BYTES } from "../src/core/limits.js";
import { PROTOCOL } from "../src/http/protocol.js";
import { NoRoom } from "../src/runtime/size.js";
import { quotaProblemOf } from "./quotas/exceeded.js";

/** The outcome of one operation of a batch. */
export interface OperationOutcome {
  /** `{ output }`, or the result of `problemOutcome`. */
  readonly outcome: object;
  /** The `applied` of the error when the outcome does not fit into the answer. */
  readonly applied: "no" | "unknown";
}

/** Smaller outcomes are always added: the problem in their place would be as long. */
const SMALL_BYTES = 512;

/** The answer to a batch, of about 4 MB. Outcomes that do not fit are replaced by a problem that says so. */
export class BatchAnswer {
  /** As texts, so that each outcome's object is freed at once. */
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

/**
 * Returns `{ problem, retryAfterSec?, noRoom? }`. `noRoom`: the client can resend at once, since other outcomes filled the
 * answer.
 */
export function problemOutcome(error: unknown): object {
  const { body, retryAfterSec } = quotaProblemOf(error);
  if (error instanceof NoRoom) return { problem: body, noRoom: true };
  return { problem: body, ...(retryAfterSec === undefined ? {} : { retryAfterSec }) };
}
