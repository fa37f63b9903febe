import { baseUrl } from "../src/http/base-url.js";
import { networkCode } from "../src/http/network-code.js";
import { readAnswer } from "../src/http/read-body.js";
import { CoordinationError } from "../src/index.js";
import { systemClock } from "../src/lib/clock.js";
import { within } from "../src/runtime/deadline.js";
import type { Settings } from "./settings.js";

/** A call of a route that the library's client does not use. */
export interface WorkerCall {
  readonly method: "GET" | "POST";
  /** With a slash at its beginning. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object | readonly object[];
}

const TIMEOUT_MS = 30_000;

/**
 * Returns the fields of the Worker's answer. `undefined` for a 404: the Worker knows no such record, or is of an earlier version.
 *
 * @throws {CoordinationError} the Worker's error; `backend_unavailable` when there is no answer.
 */
export function callWorker(
  { url, token, allowHttp }: Settings,
  { path, ...call }: WorkerCall,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const address = baseUrl(url, allowHttp) + path;
  const limit = { limitMs: TIMEOUT_MS, signal, clock: systemClock };
  return within(
    limit,
    () => noAnswer(" in time"),
    async (ends) => {
      const { response, text } = await sent(address, { ...call, token, signal: ends });
      return response.status === 404 ? undefined : answerIn(response, text, token);
    },
  );
}

interface Sent extends Omit<WorkerCall, "path"> {
  readonly token: string;
  readonly signal: AbortSignal;
}

async function sent(
  address: string,
  { method, body, token, signal }: Sent,
): Promise<{ response: Response; text: string }> {
  try {
    const response = await fetch(address, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "manual",
      signal,
    });
    return { response, text: await readAnswer(response, signal, systemClock) };
  } catch (error) {
    throw noAnswer(networkCode(error));
  }
}

async function answerIn(response: Response, text: string, token: string): Promise<Readonly<Record<string, unknown>>> {
  const answer: unknown = parsed(text);
  if (response.ok) return Object(answer) as Readonly<Record<string, unknown>>;
  // Imported here: a part of the backend's code, which every command loads on demand.
  const { faultOf } = await import("../src/backends/http/answer.js");
  const asked = { applied: "no", token, nowMs: Date.now() } as const;
  throw faultOf(response.status, response.headers.get("retry-after"), Object(answer), asked);
}

/** Returns the error for an answer that did not come from the Worker. */
export function unexpectedAnswer(): CoordinationError {
  return new CoordinationError("backend_rejected", "unexpected answer from the Worker: check url");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function noAnswer(why: string): CoordinationError {
  return new CoordinationError("backend_unavailable", `no answer from the Worker${why}`, { retryable: true });
}
