/**
 * Returns the platform's code for a network failure in brackets, such as ` (ECONNREFUSED)`; "" when it gives none. The
 * failure's message and the failure itself are left out: they may quote the address or the headers.
 */
export function networkCode(error: unknown): string {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  for (const name of [Object(cause).code, code]) {
    if (typeof name === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(name)) return ` (${name})`;
  }
  return "";
}
