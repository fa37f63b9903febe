/** What ioredis hands over when it is asked for buffers. */
type Reply = Buffer | string | number | null | Error | readonly Reply[];

/** One command's answer on the wire. */
export type Answer = { result: unknown } | { error: string };

function encode(reply: Reply, isBase64: boolean): unknown {
  if (reply === null || typeof reply === "number") return reply;
  if (reply instanceof Error) return encode(Buffer.from(reply.message), isBase64);
  if (Buffer.isBuffer(reply)) return reply.toString(isBase64 ? "base64" : "utf8");
  if (typeof reply === "string") return encode(Buffer.from(reply), isBase64);
  return reply.map((element) => encode(element, isBase64));
}

/** A reply of Redis as the REST protocol shows it. In base64 every string is encoded, but for an "OK" that is the whole reply. */
export function toAnswer(reply: unknown, isBase64: boolean): Answer {
  if (reply instanceof Error) return { error: reply.message };
  const isOk = Buffer.isBuffer(reply) && reply.toString("latin1") === "OK";
  return { result: encode(reply as Reply, isBase64 && !isOk) };
}
