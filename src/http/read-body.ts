import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";

/** The body is longer than its reader takes. */
export class BodyTooLarge extends Error {}

/**
 * Reads a body to its end. What is announced as too large is not read, and neither is what comes after `maxBytes`, whatever
 * was announced. Sets no time: the caller's signal does.
 *
 * @throws {BodyTooLarge}
 */
export async function readBody(
  { headers, body }: Request | Response,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const reader = body?.getReader();
  // Whether the sender hears of it or not: nothing more is read.
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

/** Chunks are copied and let go of: workerd makes 4 KB for each, and a sender may put one byte into it. */
function grown(bytes: Uint8Array, needed: number, maxBytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, Math.min(2 * bytes.length, maxBytes)));
  larger.set(bytes);
  return larger;
}

/** The longest answer that a client reads, in bytes. The longest one that a server of ours gives is about half of it. */
export const MAX_READ_BYTES = 16_777_216;
/** What is read of an answer that is no success, and for how long: its status says enough. */
const MAX_ERROR_BYTES = 65_536;
const ERROR_MS = 1_000;

/**
 * Returns an answer's text; "" for the body of an answer that is no success, when it is long, slow or broken.
 *
 * @throws {BodyTooLarge} for a success that is longer than `MAX_READ_BYTES`.
 */
export async function readAnswer(response: Response, signal: AbortSignal, clock: Clock): Promise<string> {
  if (response.ok) return textOf(response, MAX_READ_BYTES, signal);
  const late = (): BodyTooLarge => new BodyTooLarge();
  const read = (ended: AbortSignal) => textOf(response, MAX_ERROR_BYTES, ended);
  return within({ limitMs: ERROR_MS, signal, clock }, late, read).catch(() => "");
}

async function textOf(response: Response, maxBytes: number, signal: AbortSignal): Promise<string> {
  // Some platforms' responses have no stream.
  if (response.body === undefined) return response.text();
  return new TextDecoder().decode(await readBody(response, maxBytes, signal));
}
