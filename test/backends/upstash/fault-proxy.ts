import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";

/** What happens to one request. The first four reach the database. */
export type Fault =
  | "drop-after"
  | "error-after"
  | "html-after"
  | "truncate-after"
  | "drop-before"
  | "hang"
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> };

/** What happens to subscriptions: they work, are refused, stay without an answer, or end as soon as they stand. */
export type SubscribeFault = "none" | "refuse" | "hang" | "end";

export interface FaultProxy {
  readonly url: string;
  /** Taken from the front, one a command request; without one it passes. */
  readonly faults: Fault[];
  subscribe: SubscribeFault;
  /** The first command word of every command request, and its body. */
  readonly requests: {
    readonly command: string;
    readonly body: string;
    readonly headers: IncomingMessage["headers"];
  }[];
  /** Subscriptions that are open now, and how many there have been. */
  openStreams: number;
  streams: number;
  close(): Promise<void>;
}

/** Stands in front of a REST server and spoils what it is told to. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const server = createServer((request, response) => {
    const isStream = request.url?.startsWith("/subscribe/") === true;
    (isStream ? stream(request, response) : command(request, response)).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port.");

  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${address.port}`,
    faults: [],
    subscribe: "none",
    requests: [],
    openStreams: 0,
    streams: 0,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };

  async function command(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { headers } = request;
    const word = request.url === "/" ? String(JSON.parse(body)[0]) : String(request.url);
    proxy.requests.push({ command: word, body, headers });
    const fault = proxy.faults.shift();
    if (fault === "hang") return;
    if (fault === "drop-before") return void request.socket.destroy();
    if (typeof fault === "object") {
      return void response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
    }
    const answer = await forward(request, body);
    const text = await answer.text();
    if (fault === "drop-after") return void request.socket.destroy();
    if (fault === "error-after") return void response.writeHead(502).end("<html>bad gateway</html>");
    if (fault === "html-after") return void response.writeHead(200).end("<html>please log in</html>");
    if (fault === "truncate-after") {
      response.writeHead(200, { "content-length": Buffer.byteLength(text) });
      response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
      return;
    }
    response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
  }

  async function stream(request: IncomingMessage, response: ServerResponse): Promise<void> {
    proxy.streams++;
    if (proxy.subscribe === "refuse") return void response.writeHead(404).end("{}");
    proxy.openStreams++;
    const gone = new AbortController();
    response.once("close", () => {
      proxy.openStreams--;
      gone.abort();
    });
    if (proxy.subscribe === "hang") return;
    const answer = await forward(request, "", gone.signal);
    response.writeHead(answer.status, { "content-type": "text/event-stream" });
    if (answer.body === null) return;
    for await (const chunk of Readable.fromWeb(answer.body as never)) {
      response.write(chunk);
      if (proxy.subscribe === "end") return void response.end();
    }
    response.end();
  }

  function forward(request: IncomingMessage, body: string, signal?: AbortSignal): Promise<Response> {
    const { authorization = "", accept = "*/*" } = request.headers;
    const init = { method: "POST", headers: { authorization, accept }, ...(signal && { signal }) };
    return fetch(`${target}${request.url}`, body === "" ? init : { ...init, body });
  }

  return proxy;
}

/** A port that takes requests and never answers. */
export async function startBlackHole(): Promise<{ url: string; close(): Promise<void> }> {
  const proxy = await startFaultProxy("http://127.0.0.1:1");
  proxy.subscribe = "hang";
  proxy.faults.push(...Array.from({ length: 1_000 }, () => "hang" as const));
  return proxy;
}
