/**
 * What the platform calls a failure of the network, in brackets, such as ` (ECONNREFUSED)`; "" where it has no name for it. Its
 * message is left out, and so is the error itself: they may quote the address or the headers.
 */
export function networkCode(error: unknown): string {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  for (const name of [Object(cause).code, code]) {
    if (typeof name === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(name)) return ` (${name})`;
  }
  return "";
}
