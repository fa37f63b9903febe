/**
 * Returns a digest of bytes, or of a text's UTF-8, in hexadecimal digits. Use SHA-1 only for names that another system defines,
 * never for a secret.
 */
export async function hexDigest(algorithm: "SHA-256" | "SHA-1", data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const digest = await crypto.subtle.digest(algorithm, bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
