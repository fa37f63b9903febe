/** What a caller prefers, as far as it is understood here. */
export interface Preferences {
  /** How long to wait for the work, in seconds from when the request arrived; `undefined`: nothing was said. */
  readonly waitSec: number | undefined;
  /** The caller would rather be told of the work's beginning now than of its end later. */
  readonly respondAsync: boolean;
}

/**
 * Reads a `Prefer` header. Of several wishes for one thing the first counts, and one that is not understood is passed over.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-4
 */
export function preferencesOf(header: string | undefined): Preferences {
  let waitSec: number | undefined;
  let respondAsync = false;
  // Commas within quotes part nothing; a quote that is never closed takes the rest.
  for (const preference of header?.match(/(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+/gs) ?? []) {
    const wait = /^\s*wait\s*=\s*("?)(\d+)\1\s*(;|$)/i.exec(preference);
    if (wait !== null) waitSec ??= Number(wait[2]);
    // An empty value is none.
    respondAsync ||= /^\s*respond-async\s*(=\s*(""\s*)?)?(;|$)/i.test(preference);
  }
  return { waitSec, respondAsync };
}
