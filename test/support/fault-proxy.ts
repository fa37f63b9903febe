import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { leanFetch } from "./lean-fetch.js";

/**
 * What happens to one request on its way to the server or back. "before": it never arrives; "after": it arrived, and was
 * applied. "silent": the connection stays, and no answer comes.
 */
export type Fault =
  | "none"
  | "dropped before"
  | "dropped after"
  | "error after"
  | "busy before"
  /** The connection breaks in the middle of the answer. */
  | "truncated after"
  /** The answer ends too soon, in good order. */
  | "cut after"
  | "html before"
  | "html after"
  /** Two copies arrive at once; the second one's answer comes back. */
  | "replayed"
  /** A copy is kept, until `replay`. */
  | "replayed late"
  | "slow"
  /** The answer stops halfway, and the connection stays. */
  | "stalled after"
  | "silent before"
  | "silent after"
  /** The proxy answers this itself. */
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> };

/** What happens to subscriptions: they work, are refused, stay without an answer, or end as soon as they stand. */
export type SubscribeFault = "none" | "refuse" | "hang" | "end";

export interface SeenRequest {
  readonly path: string;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
}

/** An address of the proxy's with faults of its own, so that many can be tried side by side. */
export interface Lane {
  readonly url: string;
  /** Taken from the front, one a request; when none is left, it is `standing`. */
  readonly faults: Fault[];
  /** `"none"` unless it is set. */
  standing: Fault;
  /** A request that holds this text kills the server each time: its connection is dropped. */
  poison: string | undefined;
  readonly requests: SeenRequest[];
  /** How many requests were left without an answer, or with half of one. */
  readonly silences: number;
  /** Resolves once there is one. */
  silent(): Promise<void>;
  /** Has the copies arrive that "replayed late" kept, one after the other. */
  replay(): Promise<void>;
}

export interface FaultProxy extends Lane {
  lane(): Lane;
  subscribe: SubscribeFault;
  /** Subscriptions that are open now, and how many there have been. */
  openStreams: number;
  streams: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const FORWARDED = ["authorization", "accept", "content-type", "upstash-encoding"];
const JSON_TYPE = { "content-type": "application/json" };
const PAGE = "<html>Welcome to the hotel. Please log in.</html>";
/** A slow answer comes in so many pieces. */
const DRIPS = 12;
const DRIP_MS = 5;

class ProxyLane implements Lane {
  readonly faults: Fault[] = [];
  readonly requests: SeenRequest[] = [];
  standing: Fault = "none";
  silences = 0;
  poison: string | undefined;
  readonly #target: string;
  readonly #kept: (() => Promise<Answer>)[] = [];
  readonly #silent: Promise<void>;
  #resolveSilent = (): void => {};

  constructor(
    readonly url: string,
    target: string,
  ) {
    this.#target = target;
    this.#silent = new Promise((resolve) => {
      this.#resolveSilent = resolve;
    });
  }

  #fallSilent(): void {
    this.silences++;
    this.#resolveSilent();
  }

  silent(): Promise<void> {
    return this.#silent;
  }

  async replay(): Promise<void> {
    for (const send of this.#kept.splice(0)) await send();
  }

  async serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    this.requests.push({ path, body, headers: request.headers });
    if (this.poison !== undefined && body.includes(this.poison)) return void response.destroy();
    const send = async (): Promise<Answer> => {
      const answer = await forward(this.#target + path, request, { body });
      return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
    };
    await this.#spoil(this.faults.shift() ?? this.standing, send, response);
  }

  async #spoil(fault: Fault, send: () => Promise<Answer>, response: ServerResponse): Promise<void> {
    if (typeof fault === "object") {
      return void response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
    }
    if (fault === "dropped before") return void response.destroy();
    if (fault === "busy before") return void response.writeHead(429, { "retry-after": "1" }).end();
    if (fault === "html before") return void response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    if (fault === "silent before") return this.#fallSilent();
    if (fault === "replayed late") this.#kept.push(send);
    const answers = await Promise.all(fault === "replayed" ? [send(), send()] : [send()]);
    const answer = answers.at(-1) as Answer;
    if (fault === "silent after") return this.#fallSilent();
    if (fault === "stalled after") this.#fallSilent();
    await spoilAnswer(fault, answer, response);
  }
}

async function spoilAnswer(fault: Fault, { status, body }: Answer, response: ServerResponse): Promise<void> {
  const whole = { ...JSON_TYPE, "content-length": body.length };
  const half = body.subarray(0, body.length / 2);
  switch (fault) {
    case "dropped after":
      return void response.destroy();
    case "error after":
      return void response.writeHead(502).end("<html>bad gateway</html>");
    case "html after":
      return void response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    case "cut after":
      return void response.writeHead(status, JSON_TYPE).end(half);
    case "truncated after":
      return void response.writeHead(status, whole).write(half, () => response.destroy());
    case "stalled after":
      return void response.writeHead(status, whole).write(half);
    case "slow": {
      response.writeHead(status, whole);
      const size = Math.ceil(body.length / DRIPS);
      for (let i = 0; i < body.length; i += size) {
        response.write(body.subarray(i, i + size));
        await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
      }
      return void response.end();
    }
    default:
      response.writeHead(status, whole).end(body);
  }
}

function forward(
  url: string,
  { method = "POST", headers }: IncomingMessage,
  { body, signal }: { body: string; signal?: AbortSignal },
): Promise<Response> {
  const passed = FORWARDED.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
  return leanFetch(url, {
    method,
    // A connection that the server has just closed, since it stood idle or refused a body unread, is no fault of ours.
    headers: { ...Object.fromEntries(passed), connection: "close" },
    ...(body === "" ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Runs in front of a server, a Worker or a database's REST server, and applies the faults that a test sets. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const lanes = new Map<string, ProxyLane>();
  const server = createServer((request, response) => {
    const [, prefix = "", path = "/"] = /^(\/lane-\d+)?(.*)$/.exec(request.url ?? "/") ?? [];
    const isStream = path.startsWith("/subscribe/");
    const work = isStream
      ? stream(path, request, response)
      : (lanes.get(prefix) ?? proxy).serve(path === "" ? "/" : path, request, response);
    work.catch(() => response.destroy());
  });
  // The proxy must not close an idle connection: a busy client may send its next request on it, and see an unplanned fault.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port.");
  const url = `http://127.0.0.1:${address.port}`;

  const proxy = Object.assign(new ProxyLane(url, target), {
    subscribe: "none" as SubscribeFault,
    openStreams: 0,
    streams: 0,
    lane: (): Lane => {
      const prefix = `/lane-${lanes.size}`;
      const lane = new ProxyLane(url + prefix, target);
      lanes.set(prefix, lane);
      return lane;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  });

  async function stream(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    proxy.streams++;
    if (proxy.subscribe === "refuse") return void response.writeHead(404).end("{}");
    proxy.openStreams++;
    const gone = new AbortController();
    response.once("close", () => {
      proxy.openStreams--;
      gone.abort();
    });
    if (proxy.subscribe === "hang") return;
    const answer = await forward(target + path, request, { body: "", signal: gone.signal });
    response.writeHead(answer.status, { "content-type": "text/event-stream" });
    if (answer.body === null) return;
    for await (const chunk of Readable.fromWeb(answer.body as never)) {
      response.write(chunk);
      if (proxy.subscribe === "end") return void response.end();
    }
    response.end();
  }

  return proxy;
}

/** A server that takes requests and never answers. */
export async function startBlackHole(): Promise<FaultProxy> {
  const proxy = await startFaultProxy("http://127.0.0.1:1");
  proxy.subscribe = "hang";
  proxy.standing = "silent before";
  return proxy;
}
