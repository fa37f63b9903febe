/** The parts of a `Prefer` header that this library supports. */
export interface Preferences {
  /** How long to wait for the work, in seconds from when the request arrived; `undefined`: not given. */
  readonly waitSec: number | undefined;
  /** The caller prefers an early answer over waiting for the result. */
  readonly respondAsync: boolean;
}

/**
 * Reads a `Prefer` header. If a preference is given more than once, the first counts. Unknown or malformed preferences
 * are ignored.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-4
 */
export function preferencesOf(header: string | undefined): Preferences {
  let waitSec: number | undefined;
  let respondAsync = false;
  // A comma within quotes is no separator. A quote that is never closed extends to the end.
  for (const preference of header?.match(/(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+/gs) ?? []) {
    const wait = /^\s*wait\s*=\s*("?)(\d+)\1\s*(;|$)/i.exec(preference);
    if (wait !== null) waitSec ??= Number(wait[2]);
    // An empty value means no value.
    respondAsync ||= /^\s*respond-async\s*(=\s*(""\s*)?)?(;|$)/i.test(preference);
  }
  return { waitSec, respondAsync };
}
