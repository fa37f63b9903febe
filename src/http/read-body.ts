import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";

/** The body is longer than `maxBytes`. */
export class BodyTooLarge extends Error {}

/**
 * Reads a body to its end. Does not read a body whose `content-length` exceeds `maxBytes`, nor anything beyond
 * `maxBytes`. Has no timeout: the caller's signal ends it.
 *
 * @throws {BodyTooLarge}
 */
export async function readBody(
  { headers, body }: Request | Response,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const reader = body?.getReader();
  // Nothing more is read, even if the cancel itself fails.
  const leave = (): void => void reader?.cancel().catch(() => undefined);
  const refuse = (): BodyTooLarge => {
    leave();
    return new BodyTooLarge();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw refuse();
  let bytes = new Uint8Array();
  let length = 0;
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done || value === undefined) return bytes.subarray(0, length);
    const needed = length + value.length;
    if (needed > maxBytes) throw refuse();
    if (needed > bytes.length) bytes = grown(bytes, needed, maxBytes);
    bytes.set(value, length);
    length = needed;
  }
}

/**
 * Copies chunks into one buffer instead of keeping them: workerd allocates 4 KB for each chunk, and a sender may send
 * one byte a chunk.
 */
function grown(bytes: Uint8Array, needed: number, maxBytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, Math.min(2 * bytes.length, maxBytes)));
  larger.set(bytes);
  return larger;
}

/**
 * How many bytes of a successful answer a client reads at most. The longest answer of this library's servers is about
 * half of that.
 */
export const MAX_READ_BYTES = 16_777_216;
/** How much of an unsuccessful answer is read, and for how long. Its status says enough. */
const MAX_ERROR_BYTES = 65_536;
const ERROR_MS = 1_000;

/**
 * Returns an answer's text. For an unsuccessful answer it returns "" when the body is long, slow or broken.
 *
 * @throws {BodyTooLarge} for a successful answer that is longer than `MAX_READ_BYTES`.
 */
export async function readAnswer(response: Response, signal: AbortSignal, clock: Clock): Promise<string> {
  if (response.ok) return textOf(response, MAX_READ_BYTES, signal);
  const late = (): BodyTooLarge => new BodyTooLarge();
  const read = (ended: AbortSignal) => textOf(response, MAX_ERROR_BYTES, ended);
  return within({ limitMs: ERROR_MS, signal, clock }, late, read).catch(() => "");
}

async function textOf(response: Response, maxBytes: number, signal: AbortSignal): Promise<string> {
  // The responses of some platforms have no stream.
  if (response.body === undefined) return response.text();
  return new TextDecoder().decode(await readBody(response, maxBytes, signal));
}
