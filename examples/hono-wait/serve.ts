import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

/** Puts a `fetch` handler behind node:http. In your own app this is `serve` of @hono/node-server. */
export function serve(fetch: (request: Request) => Response | Promise<Response>): Server {
  return createServer((incoming, outgoing) => {
    answer(fetch, incoming, outgoing).catch((error) => outgoing.destroy(error));
  });
}

async function answer(
  fetch: (request: Request) => Response | Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/", headers } = incoming;
  const gone = new AbortController();
  // A client that has gone waits for nothing any more.
  outgoing.once("close", () => gone.abort());
  const request = new Request(`http://localhost${url}`, {
    method,
    headers: headers as Record<string, string>,
    body: method === "GET" || method === "HEAD" ? null : await buffer(incoming),
    signal: gone.signal,
  });
  const response = await fetch(request);
  outgoing.statusCode = response.status;
  outgoing.setHeaders(response.headers);
  await pipeline(response.body ?? [], outgoing);
}
