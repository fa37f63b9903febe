/**
 * Returns a digest of bytes, or of a text's UTF-8, in hexadecimal digits. Use SHA-1 only for names that another system defines,
 * never for a secret.
 */
export async function hexDigest(algorithm: "SHA-256" | "SHA-1", data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  return hexOf(new Uint8Array(await crypto.subtle.digest(algorithm, bytes as Uint8Array<ArrayBuffer>)));
}

/** Returns bytes in hexadecimal digits. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
