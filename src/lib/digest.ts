/**
 * Returns a digest of a text's UTF-8, in hexadecimal digits. Use SHA-1 only for names that another system defines,
 * never for a secret.
 */
export async function hexDigest(algorithm: "SHA-256" | "SHA-1", text: string): Promise<string> {
  const digest = await crypto.subtle.digest(algorithm, new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
