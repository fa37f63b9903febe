/** The id of one public call, made once and sent along however often the call is sent: 128 random bits, 32 hex digits. */
export function newOp(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
