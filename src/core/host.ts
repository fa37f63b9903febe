/** The functions of a transition that Lua implements differently. `lua/host.ts` is the Lua version. */

/** Why a record could not be read. */
export type Refusal = "newer_schema";

/** Thrown by a transition that cannot run. The backend then writes nothing. */
export class TransitionRefused extends Error {
  override readonly name = "TransitionRefused";
  constructor(readonly reason: Refusal) {
    super(reason);
  }
}

export function refuse(reason: Refusal): never {
  throw new TransitionRefused(reason);
}

/** Returns JSON text. The value must hold no `null` and no `undefined` inside an array. */
export function encode(value: object): string {
  return JSON.stringify(value);
}

export function decode<T>(text: string): T {
  return JSON.parse(text) as T;
}

/** Returns the decimal digits of a safe integer: never in exponent form, never `-0`. */
export function formatInteger(value: number): string {
  return String(value + 0);
}

/** Returns how many bytes a text takes in UTF-8. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Half of a surrogate pair takes two of the pair's four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
