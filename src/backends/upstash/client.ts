import { Redis, type Requester, type UpstashRequest, type UpstashResponse } from "@upstash/redis/cloudflare";
import { networkCode } from "../../http/network-code.js";
import { BodyTooLarge, MAX_READ_BYTES, readAnswer } from "../../http/read-body.js";
import type { Clock } from "../../lib/clock.js";
import { within } from "../../runtime/deadline.js";
import { type Applied, explainStatus, Refused, unavailable, unexpectedReply } from "./failure.js";
import type { Endpoint, UpstashFetch } from "./options.js";

/** Options of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The `applied` of the error when the answer is lost. */
  readonly applied: Applied;
}

/** A Redis command and its arguments. */
export type Command = readonly (string | number)[];

/** The answer of Redis to one command. */
export interface Answer {
  readonly result?: unknown;
  /** The Redis error. It may quote keys and values: never show it. */
  readonly error?: string;
}

/** The longest line of a subscription's stream, in characters. This library sends no longer messages. */
const MAX_LINE = 65_536;

/**
 * The commands of @upstash/redis over our own requester. The package's HTTP client retries by itself and resolves an aborted
 * read. It hides status and Retry-After, and quotes the whole command in its errors.
 */
class Commands extends Redis {
  constructor(requester: Requester) {
    super({
      url: "https://requester.invalid",
      token: "unused",
      retry: { retries: 0 },
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
    });
    this.client = requester;
  }
}

/** Options of a `Client`. */
export interface ClientOptions {
  readonly requestTimeoutMs: number;
  readonly fetch: UpstashFetch | undefined;
  readonly clock: Clock;
}

/** Sends requests to one database, each once and with a timeout. Its errors quote neither keys, values nor the token. */
export class Client {
  readonly #endpoint: Endpoint;
  readonly #requestTimeoutMs: number;
  readonly #fetch: UpstashFetch;
  readonly #clock: Clock;
  /** With this token, a replica answers only after it has caught up with the state that this client has seen. */
  #syncToken = "";

  constructor(endpoint: Endpoint, options: ClientOptions) {
    this.#endpoint = endpoint;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#clock = options.clock;
    // The platform's `fetch` fails when it is called as a method of another object.
    this.#fetch = (url, init) => (options.fetch ?? fetch)(url, init);
  }

  /**
   * Returns the library's commands for one call. They reject with a `CoordinationError`, with `Refused` when Redis itself
   * refuses a command, or with the signal's reason.
   */
  commands(call: CallOptions): Redis {
    return new Commands({ request: (request) => this.#request(request, call) });
  }

  /**
   * Sends commands in one request: one command directly, several as a pipeline. They run in their order, and one that fails
   * does not stop the others. Rejects when the whole request fails.
   */
  async ask(commands: readonly Command[], call: CallOptions): Promise<readonly Answer[]> {
    if (commands.length === 1) {
      try {
        return [await this.#request({ body: commands[0] }, call)];
      } catch (error) {
        if (error instanceof Refused) return [{ error: error.text }];
        throw error;
      }
    }
    const answers: unknown = await this.#request({ path: ["pipeline"], body: commands }, call);
    if (!Array.isArray(answers) || answers.length !== commands.length) throw unexpectedReply(call.applied);
    return answers.map(answerOf);
  }

  /** Passes a channel's events to `onEvent` until the server ends the stream. Rejects when the stream breaks or is aborted. */
  async subscribe(channel: string, signal: AbortSignal, onEvent: (text: string) => void): Promise<void> {
    const init = { headers: { accept: "text/event-stream" }, signal };
    const response = await this.#post(["subscribe", encodeURIComponent(channel)], init);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw unavailable(`answered ${response.status} to a subscription`, "no");
    }
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data: ")) onEvent(line.slice("data: ".length));
      if (rest.length > MAX_LINE) {
        await reader.cancel();
        throw unexpectedReply("no");
      }
    }
  }

  async #request<T>({ path = [], body }: UpstashRequest, call: CallOptions): Promise<UpstashResponse<T>> {
    const [response, text] = await this.#exchange(path, JSON.stringify(body), call);
    const reply = parsed(text);
    if (!response.ok) throw explainStatus(response, Object(reply).error, call.applied);
    // A proxy's error page, or a truncated answer.
    if (reply === undefined) throw unavailable("answered without JSON", call.applied);
    this.#syncToken = response.headers.get("upstash-sync-token") ?? this.#syncToken;
    const isBatch = path[0] === "pipeline";
    if (isBatch ? Array.isArray(reply) : hasResult(reply)) return reply as UpstashResponse<T>;
    throw refusedOr(reply, call.applied);
  }

  /** Sends one request and returns the whole text of its answer. */
  #exchange(path: readonly string[], body: string, { signal, applied }: CallOptions): Promise<[Response, string]> {
    const limitMs = this.#requestTimeoutMs;
    const late = () => unavailable(`did not answer within ${limitMs} ms`, applied);
    return within({ limitMs, signal, clock: this.#clock }, late, async (ended) => {
      try {
        const headers = { "upstash-sync-token": this.#syncToken };
        const response = await this.#post(path, { headers, body, signal: ended });
        return [response, await readAnswer(response, ended, this.#clock)];
      } catch (error) {
        if (error instanceof BodyTooLarge) {
          throw unavailable(`gave an answer longer than ${MAX_READ_BYTES} bytes, which was cut: check url`, applied);
        }
        throw unavailable(`could not be reached, or broke off${networkCode(error)}`, applied);
      }
    });
  }

  #post(
    path: readonly string[],
    { headers, ...init }: { headers: Record<string, string>; body?: string; signal: AbortSignal },
  ): Promise<Response> {
    return this.#fetch([this.#endpoint.url, ...path].join("/"), {
      ...init,
      method: "POST",
      headers: { ...this.#endpoint.headers, ...headers },
      // A redirect would forward the token, and turn the POST into a GET.
      redirect: "manual",
      // Frameworks that patch fetch cache answers. Older Workers throw for this option.
      ...("cache" in Request.prototype ? { cache: "no-store" as const } : {}),
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An entry with neither a result nor an error counts as an unreadable result. */
function answerOf(entry: unknown): Answer {
  const { result, error } = Object(entry) as { readonly result?: unknown; readonly error?: unknown };
  return typeof error === "string" ? { error } : { result };
}

function hasResult(reply: unknown): boolean {
  return typeof reply === "object" && reply !== null && "result" in reply;
}

/** Returns the error of an answer without a result. */
function refusedOr(reply: unknown, applied: Applied): Error {
  const text = (reply as { error?: unknown } | null)?.error;
  return typeof text === "string" ? new Refused(text) : unexpectedReply(applied);
}
