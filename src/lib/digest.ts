/** A digest of a text's UTF-8, in hexadecimal digits. SHA-1 is for names that others give, never for a secret. */
export async function hexDigest(algorithm: "SHA-256" | "SHA-1", text: string): Promise<string> {
  const digest = await crypto.subtle.digest(algorithm, new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
