/**
 * Returns whether two texts are equal, without revealing where they differ by its duration. It digests both
 * (HMAC-SHA-256 under a random key for this call) and compares all 32 bytes of the digests.
 *
 * For tokens and signatures. Does not hide how long the texts are. Workers allow it inside a request only, because it
 * needs randomness.
 *
 * @example if (!(await timingSafeEqual(presented, token))) return new Response(null, { status: 401 });
 */
export async function timingSafeEqual(a: string, b: string): Promise<boolean> {
  return (await timingSafeIndex([a], [b])) === 0;
}

/**
 * Returns the place of the first live text that some presented one equals; -1 for none. Compares as `timingSafeEqual` does, each
 * text with each. Digests each text once.
 */
export async function timingSafeIndex(presented: readonly string[], live: readonly string[]): Promise<number> {
  const random = crypto.getRandomValues(new Uint8Array(32));
  const key = await crypto.subtle.importKey("raw", random, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const digests = (texts: readonly string[]) => Promise.all(texts.map((text) => digest(key, text)));
  const [left, right] = await Promise.all([digests(presented), digests(live)]);
  return right.map((b) => left.filter((a) => differenceOf(a, b) === 0).length > 0).indexOf(true);
}

function differenceOf(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((difference, byte, i) => difference | (byte ^ (b[i] ?? -1)), 0);
}

async function digest(key: CryptoKey, text: string): Promise<Uint8Array> {
  // Code units, not UTF-8: the encoder would turn two different lone surrogates into the same bytes.
  const units = Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, units));
}
