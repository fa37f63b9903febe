/** The longest wait that is granted, in seconds. */
export const MAX_WAIT_SEC = 60;

/**
 * How long the caller would like to wait, in seconds, as far as it is granted; `undefined` when no wait was asked for.
 * Of several wishes the first counts, and one that is not understood is passed over.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7240#section-4.3
 */
export function preferredWaitSec(header: string | undefined): number | undefined {
  // Commas within quotes part nothing; a quote that is never closed takes the rest.
  for (const preference of header?.match(/(?:[^,"]|"(?:[^"\\]|\\.?)*(?:"|$))+/gs) ?? []) {
    const match = /^\s*wait\s*=\s*("?)(\d+)\1\s*(;|$)/i.exec(preference);
    if (match !== null) return Math.min(Number(match[2]), MAX_WAIT_SEC);
  }
  return undefined;
}
