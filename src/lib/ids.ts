/**
 * Returns a new id for one public call: 128 random bits as 32 hex digits. Every resend of the call carries the same id
 * (an idempotency key).
 */
export function newOp(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
