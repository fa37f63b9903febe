/** How old a signature may be. A message that is recorded and sent again later is refused. */
const TOLERANCE_SEC = 300;

/**
 * Returns whether the body was signed with the secret, as Stripe does it: `t=SECONDS,v1=HEX`, an HMAC-SHA256 of `t.body`.
 *
 * @see https://docs.stripe.com/webhooks#verify-manually
 */
export async function isSigned(secret: string, header: string, body: string, nowMs = Date.now()): Promise<boolean> {
  const parts = header.split(",").map((part) => part.split("=", 2));
  const seconds = Number(parts.find(([name]) => name === "t")?.[1] ?? Number.NaN);
  if (!(Math.abs(nowMs / 1000 - seconds) <= TOLERANCE_SEC)) return false;
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  for (const [name, hex = ""] of parts) {
    if (name !== "v1" || !/^[0-9a-f]{64}$/.test(hex)) continue;
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    // `verify` compares in constant time.
    if (await crypto.subtle.verify(algorithm, key, bytes, encoder.encode(`${seconds}.${body}`))) return true;
  }
  return false;
}
