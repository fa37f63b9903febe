/**
 * Returns the platform's code for a network failure in brackets, such as ` (ECONNREFUSED)`; "" when it gives none. Does
 * not return the failure's message or the failure itself: they may quote the address or the headers.
 */
export function networkCode(error: unknown): string {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  for (const name of [Object(cause).code, code]) {
    if (typeof name === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(name)) return ` (${name})`;
  }
  return "";
}
