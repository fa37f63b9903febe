import { Problem } from "../src/http/problem.js";
import { liveTokens, MAX_TOKEN_LENGTH, type WorkerEnv } from "./env.js";

/**
 * Who asks: the key prefix that the request's bearer token opens.
 *
 * It is compared with every live token, all of them filled up to one length, and always to the last byte: the time it takes
 * tells neither how much of a token was right, nor how long it is, nor which one it was. A refusal touches no storage.
 *
 * @throws {Problem} `unauthorized`.
 * @throws {CoordinationError} `misconfigured` when the Worker has no token, or a malformed one: it is never open. For logs: the
 * caller has shown no token.
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function authenticate(request: Request, env: WorkerEnv): string {
  const opened = openedBy(env);
  const presented = /^Bearer +([!-~]{1,512}) *$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (presented === undefined) throw unauthorized("send the token as `Authorization: Bearer …`");
  const wanted = filled(presented);
  let keyPrefix: string | undefined;
  for (const { bytes, opens } of opened) {
    const difference = bytes.reduce((bits, byte, at) => bits | (byte ^ (wanted[at] ?? -1)), 0);
    if (difference === 0) keyPrefix = opens;
  }
  if (keyPrefix === undefined) throw unauthorized("the token is not one that opens this Worker", "invalid_token");
  return keyPrefix;
}

/** A live token as it is compared. */
interface Opener {
  readonly bytes: Uint8Array;
  readonly opens: string;
}

/** Those of the variables that were read last: they stay the same for as long as the Worker runs. */
let last: { readonly variables: string; readonly openers: readonly Opener[] } | undefined;

function openedBy(env: WorkerEnv): readonly Opener[] {
  const variables = JSON.stringify([env.COORDINATOR_TOKEN, env.COORDINATOR_TOKENS]);
  if (last?.variables !== variables) {
    const openers = liveTokens(env).map(({ token, keyPrefix }) => ({ bytes: filled(token), opens: keyPrefix }));
    last = { variables, openers };
  }
  return last.openers;
}

/** Every token in as many bytes; none holds a zero. */
function filled(token: string): Uint8Array {
  const bytes = new Uint8Array(MAX_TOKEN_LENGTH);
  for (let i = 0; i < token.length; i++) bytes[i] = token.charCodeAt(i);
  return bytes;
}

function unauthorized(detail: string, error?: string): Problem {
  const challenge = `Bearer realm="edge-coordinator"${error === undefined ? "" : `, error="${error}"`}`;
  return new Problem("unauthorized", detail, { "www-authenticate": challenge });
}
