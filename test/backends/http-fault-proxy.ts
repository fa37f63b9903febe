import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What happens to one request on its way to the Worker or back. */
export type Fault =
  | "none"
  | "dropped before"
  | "dropped after"
  | "500 after"
  | "429 before"
  | "truncated after"
  | "html before"
  | "html after"
  | "replayed"
  | "slow"
  | "redirect"
  | "black hole";

export const FAULTS: readonly Fault[] = [
  "dropped before",
  "dropped after",
  "500 after",
  "429 before",
  "truncated after",
  "html before",
  "html after",
  "replayed",
  "slow",
];

export interface FaultProxy {
  readonly url: string;
  /** The faults of the next requests, in order; afterwards all is well. */
  plan(...faults: Fault[]): void;
  /** Every request from now on. */
  always(fault: Fault): void;
  readonly requests: readonly { readonly path: string; readonly authorization: string | undefined }[];
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

/** A network of one's own in front of a Worker. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  let planned: Fault[] = [];
  let standing: Fault = "none";
  const requests: { path: string; authorization: string | undefined }[] = [];

  const server = createServer(async (request, response) => {
    const body = await read(request);
    requests.push({ path: request.url ?? "", authorization: request.headers.authorization });
    const send = () => forward(target, request, body);
    await answer(planned.shift() ?? standing, send, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plan: (...faults) => {
      planned = faults;
    },
    always: (fault) => {
      standing = fault;
    },
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(fault: Fault, send: () => Promise<Reply>, response: ServerResponse): Promise<void> {
  const html = () => response.writeHead(200, { "content-type": "text/html" }).end("<html>Welcome to the hotel</html>");
  switch (fault) {
    case "none":
      return reply(response, await send());
    case "dropped before":
      return void response.destroy();
    case "dropped after":
      await send();
      return void response.destroy();
    case "500 after":
      await send();
      return void response.writeHead(500, { "content-type": "text/plain" }).end("oops");
    case "429 before":
      return void response.writeHead(429, { "retry-after": "1" }).end();
    case "truncated after": {
      const { status, body } = await send();
      response.writeHead(status, { "content-type": "application/json" });
      return void response.end(body.subarray(0, body.length - 3));
    }
    case "html before":
      return void html();
    case "html after":
      await send();
      return void html();
    case "replayed": {
      const [first] = [await send(), await send()];
      return reply(response, first);
    }
    case "slow": {
      const { status, body } = await send();
      response.writeHead(status, { "content-type": "application/json" });
      for (let i = 0; i < body.length; i += 16) {
        response.write(body.subarray(i, i + 16));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return void response.end();
    }
    case "redirect":
      return void response.writeHead(307, { location: "https://elsewhere.example/" }).end();
    case "black hole":
      return;
  }
}

function reply(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, { "content-type": "application/json" }).end(body);
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function forward(target: string, request: IncomingMessage, body: Buffer): Promise<Reply> {
  const { authorization = "", "content-type": type = "" } = request.headers;
  const response = await fetch(target + request.url, {
    method: request.method ?? "POST",
    headers: { authorization, "content-type": type },
    body: new Uint8Array(body),
  });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}
