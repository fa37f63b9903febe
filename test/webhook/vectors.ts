/** The published example of Standard Webhooks, as its reference libraries test it. */
export const PUBLISHED = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestampSec: 1614265330,
  body: '{"test": 2432232314}',
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
} as const;

/** A secret of so many bytes. */
export function secretOf(bytes: number, fill = 7): string {
  return `whsec_${btoa(String.fromCharCode(fill).repeat(bytes))}`;
}

export const OLD_SECRET = secretOf(32, 1);
export const NEW_SECRET = secretOf(32, 2);
