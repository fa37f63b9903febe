/**
 * Whether two texts are equal, in a time that does not tell where they differ: both are digested (HMAC-SHA-256 under a key
 * drawn for this one call), and the digests, always 32 bytes, are compared without an early exit.
 *
 * For tokens and signatures. It does not hide how long the texts are. Workers allow it inside a request only, where
 * randomness is to be had.
 *
 * @example
 * if (!(await timingSafeEqual(presented, token))) return new Response(null, { status: 401 });
 */
export async function timingSafeEqual(a: string, b: string): Promise<boolean> {
  const key = await crypto.subtle.importKey(
    "raw",
    crypto.getRandomValues(new Uint8Array(32)),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const [left, right] = await Promise.all([digest(key, a), digest(key, b)]);
  return left.reduce((difference, byte, i) => difference | (byte ^ (right[i] ?? -1)), 0) === 0;
}

async function digest(key: CryptoKey, text: string): Promise<Uint8Array> {
  // Code units, not UTF-8: the encoder would turn two different lone surrogates into the same bytes.
  const units = Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, units));
}
