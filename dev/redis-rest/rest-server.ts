import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Redis } from "ioredis";
import { requireToken } from "./bearer.js";
import { parseJson, readBody } from "./body.js";
import { type Command, commandFromPath, parseCommand, parseCommands } from "./command.js";
import { connect, send, sendTransaction } from "./redis-connection.js";
import { type Answer, toAnswer } from "./reply.js";
import { RequestLog, type Route } from "./request-log.js";
import { RestError } from "./rest-error.js";
import { streamMessages } from "./subscription.js";

/** What a REST server is started with. */
export interface RestServerOptions {
  /** The redis-server behind it. */
  readonly redisUrl: string;
  /** The bearer token that every route asks for. */
  readonly token: string;
  /** Default 0: a free one. */
  readonly port?: number;
}

/** A running REST server. */
export interface RestServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly token: string;
  /** The HTTP requests that came, by route. */
  readonly requests: RequestLog;
  /** Ends open streams and connections too. Closing twice does no harm. */
  close(): Promise<void>;
}

const METHODS = ["GET", "HEAD", "POST", "PUT"];

interface Call {
  readonly route: Route;
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly isBase64: boolean;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Filled as the request is understood, for the log. */
  commands: string[];
}

function routeOf(segments: readonly string[]): Route {
  const [first = "", ...rest] = segments;
  if (first === "") return "command";
  if (rest.length === 0 && (first === "pipeline" || first === "multi-exec")) return first;
  if (rest.length > 0 && (first === "subscribe" || first === "psubscribe")) return first;
  return "path";
}

function decodeSegments(pathname: string): string[] {
  try {
    return pathname.slice(1).split("/").map(decodeURIComponent);
  } catch {
    throw new RestError(400, "ERR failed to parse path");
  }
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
  } else if (error instanceof RestError) {
    sendJson(response, error.status, { error: error.message }, error.headers);
  } else {
    sendJson(response, 500, { error: "ERR no answer from redis-server" });
  }
}

class Routes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async serve(call: Call): Promise<void> {
    switch (call.route) {
      case "command":
        return this.#one(call, parseCommand(parseJson(await readBody(call.request))));
      case "path":
        return this.#one(call, commandFromPath(call.segments, await readBody(call.request), call.query));
      case "pipeline":
        return this.#pipeline(call, parseCommands(parseJson(await readBody(call.request))));
      case "multi-exec":
        return this.#transaction(call, parseCommands(parseJson(await readBody(call.request))));
      default:
        return this.#subscribe(call);
    }
  }

  async #one(call: Call, command: Command): Promise<void> {
    call.commands.push(command.name);
    const answer = toAnswer(await send(this.#redis, command), call.isBase64);
    sendJson(call.response, "error" in answer ? 400 : 200, answer);
  }

  async #pipeline(call: Call, commands: readonly Command[]): Promise<void> {
    call.commands.push(...commands.map(({ name }) => name));
    const replies = await Promise.all(commands.map((command) => send(this.#redis, command)));
    sendJson(
      call.response,
      200,
      replies.map((reply) => toAnswer(reply, call.isBase64)),
    );
  }

  async #transaction(call: Call, commands: readonly Command[]): Promise<void> {
    call.commands.push(...commands.map(({ name }) => name));
    const replies = await sendTransaction(this.#redis, commands);
    if (replies instanceof Error) throw new RestError(400, replies.message);
    const answers: Answer[] = replies.map((reply) => toAnswer(reply, call.isBase64));
    sendJson(call.response, 200, answers);
  }

  async #subscribe({ route, segments, response, commands }: Call): Promise<void> {
    commands.push(route.toUpperCase());
    await streamMessages(this.#redis.duplicate(), response, {
      isPattern: route === "psubscribe",
      channels: segments.slice(1),
    });
  }
}

/**
 * Serves the Upstash REST protocol in front of a redis-server: commands as JSON and in the path, `/pipeline`, `/multi-exec`,
 * `/subscribe` and `/psubscribe`. For development and tests: it has no limit on commands and no billing.
 */
export async function startRestServer({ redisUrl, token, port = 0 }: RestServerOptions): Promise<RestServer> {
  const redis = connect(redisUrl);
  const routes = new Routes(redis);
  const requests = new RequestLog();

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    let call: Call | undefined;
    try {
      const segments = decodeSegments(url.pathname);
      const isBase64 = request.headers["upstash-encoding"] === "base64";
      call = { route: routeOf(segments), segments, query: url.searchParams, isBase64, request, response, commands: [] };
      requireToken(request, url.searchParams, token);
      if (!METHODS.includes(request.method ?? "")) {
        throw new RestError(405, "ERR method not allowed", { allow: METHODS.join(", ") });
      }
      await routes.serve(call);
    } catch (error) {
      sendError(response, error);
    } finally {
      requests.add({ route: call?.route ?? "path", commands: call?.commands ?? [], status: response.statusCode });
    }
  });

  server.listen(port, "127.0.0.1");
  try {
    await Promise.all([once(server, "listening"), redis.ping()]);
  } catch (error) {
    redis.disconnect();
    server.close();
    throw error;
  }
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port.");

  const close = async () => {
    redis.disconnect();
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://127.0.0.1:${address.port}`, token, requests, close };
}
