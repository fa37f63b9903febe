import { expectDescribed } from "./described-answer.js";

export const TOKEN = "a-token-that-only-tests-know";

/** What was counted in one stage of a request. */
export interface StageBody {
  readonly total: number;
  readonly open: number;
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
  readonly errors: readonly { readonly taskId: string | null; readonly message: string }[];
}

/** Every field that some transition answers with. */
export interface Output {
  readonly result: string;
  readonly version: number;
  readonly stale: boolean;
  readonly claimed: boolean;
  readonly counts?: { readonly processed: number };
}

/** Every field that some answer has: a test reads those of the answer that it expects. */
export interface Body {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly applied: string;
  readonly groupId: string;
  readonly generation: number;
  readonly registeredAtMs: number;
  readonly deadlineAtMs: number;
  readonly state: string;
  readonly reason: string | null;
  readonly total: number;
  readonly succeeded: number;
  readonly metadata: { readonly by?: string } | null;
  readonly delivery: { readonly state: string };
  readonly results: readonly { readonly verdict: string }[];
  readonly output: Output;
  readonly id: string;
  readonly verdict: string;
  readonly outcome: string;
  readonly added: readonly string[];
  readonly parent: object | null;
  readonly final: boolean;
  readonly open: number;
  readonly queueStatus: Readonly<Record<string, StageBody>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** `undefined` where the answer is no JSON. */
  readonly json: Body;
}

export interface Call {
  /** Sent as JSON, unless it is a text or bytes. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
  readonly signal?: AbortSignal;
}

export type Client = (method: string, path: string, call?: Call) => Promise<Answer>;

/** Talks to a Worker the way any HTTP client would. */
export function clientOf(url: string): Client {
  return async (method, path, { body, headers, token = TOKEN, signal } = {}) => {
    const isRaw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
    const response = await fetch(url + path, {
      method,
      headers: {
        // A server that refuses a body unread closes the connection. Used again, it would fail the next call.
        connection: "close",
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: (isRaw ? body : JSON.stringify(body)) as RequestInit["body"] & object }),
      ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
      ...(signal === undefined ? {} : { signal }),
    } as RequestInit);
    const text = await response.text();
    // A host of the tests that leaves early answers by itself.
    if (headers?.["x-abort-after-ms"] === undefined) expectDescribed(method, path, { status: response.status, text });
    return { status: response.status, headers: response.headers, text, json: parsed(text) as Body };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

let last = 0;

/** An id that no other test of the process uses. */
export function freshId(): string {
  last += 1;
  return `id-${last}`;
}
