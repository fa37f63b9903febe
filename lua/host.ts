/** The Lua version of `src/core/host.ts`, for Redis. */

declare const cjson: {
  readonly encode: (this: void, value: object) => string;
  readonly decode: <T>(this: void, text: string) => T;
};
/** @noSelf */
declare namespace string {
  function format(pattern: string, value: number): string;
}
declare function error(this: void, message: string, level: number): never;

export const encode = cjson.encode;
export const decode = cjson.decode;

export function formatInteger(value: number): string {
  return string.format("%.0f", value + 0);
}

/** Lua's strings are bytes. */
export function byteLength(text: string): number {
  return text.length;
}

/** The client recognizes the prefix in the error's text. */
export function refuse(reason: string): never {
  return error(`refused:${reason}`, 0);
}
