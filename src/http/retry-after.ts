/** The longest `Retry-After`, in milliseconds: an hour. A longer one is cut to this. */
const MAX_MS = 3_600_000;

/**
 * Returns a `Retry-After` header (seconds or an HTTP-date) in milliseconds, never negative, at most an hour.
 * `undefined` when the header is missing or malformed.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  const text = value?.trim() ?? "";
  const isDate = /^[A-Z][a-z]+, .+ GMT$/.test(text);
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : isDate ? Date.parse(text) - nowMs : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_MS);
}
