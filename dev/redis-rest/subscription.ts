import type { ServerResponse } from "node:http";
import type { Redis } from "ioredis";

/** One SSE event. A line break in a message would end the line, so each line gets its own `data:`. */
function event(text: string): string {
  return `${text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}`)
    .join("\n")}\n\n`;
}

/**
 * Streams `subscribe,<channel>,<count>` for each channel and `message,<channel>,<text>` for each message (with a pattern:
 * `psubscribe,…` and `pmessage,<pattern>,<channel>,<text>`), until the client leaves. The connection is this stream's own.
 */
export async function streamMessages(
  connection: Redis,
  response: ServerResponse,
  { isPattern, channels }: { isPattern: boolean; channels: readonly string[] },
): Promise<void> {
  response.once("close", () => connection.disconnect());
  connection.on("message", (channel: string, text: string) => response.write(event(`message,${channel},${text}`)));
  connection.on("pmessage", (pattern: string, channel: string, text: string) =>
    response.write(event(`pmessage,${pattern},${channel},${text}`)),
  );
  // Without a listener ioredis prints; what matters is the end of the connection.
  connection.on("error", () => {});
  // A stream that lost its server has lost messages: it ends, and the client subscribes and checks again.
  connection.on("close", () => response.end());

  const kind = isPattern ? "psubscribe" : "subscribe";
  await connection[kind](...channels);
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  channels.forEach((channel, index) => {
    response.write(event(`${kind},${channel},${index + 1}`));
  });
}
