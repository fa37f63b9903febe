/** The twin of `src/platform.ts` inside Redis. */

/** @noSelf */
declare namespace cjson {
  function encode(value: unknown): string;
  function decode(text: string): unknown;
}
/** @noSelf */
declare namespace string {
  function format(pattern: string, value: number): string;
}
declare function error(this: void, message: string, level: number): never;

export function encode(value: object): string {
  return cjson.encode(value);
}

export function decode<T>(text: string): T {
  return cjson.decode(text) as T;
}

export function formatInteger(value: number): string {
  return string.format("%.0f", value + 0);
}

/** The client finds the mark in the error's text. */
export function refuse(reason: string): never {
  return error(`refused:${reason}`, 0);
}
