import { bearerToken, unauthorized } from "../src/http/bearer.js";
import { liveTokens, MAX_TOKEN_LENGTH, type WorkerEnv } from "./env.js";

export const REALM = "edge-coordinator";

/**
 * Returns the key prefix of the request's bearer token.
 *
 * Compares it with every valid token, all padded to one length, and always to the last byte. So the time taken does not
 * reveal how much of a token matched, its length, or which token it was. A refusal touches no storage.
 *
 * @throws {Problem} `unauthorized`.
 * @throws {CoordinationError} `misconfigured` when the Worker has no token, or a malformed one: it is never open. This error is
 * for logs only: the caller is not authenticated.
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function authenticate(request: Request, env: WorkerEnv): string {
  const opened = openedBy(env);
  const presented = bearerToken(request.headers.get("authorization"));
  if (presented === undefined) throw unauthorized(REALM, "send the token as `Authorization: Bearer …`");
  const wanted = filled(presented);
  let keyPrefix: string | undefined;
  for (const { bytes, opens } of opened) {
    const difference = bytes.reduce((bits, byte, at) => bits | (byte ^ (wanted[at] ?? -1)), 0);
    if (difference === 0) keyPrefix = opens;
  }
  if (keyPrefix === undefined)
    throw unauthorized(REALM, "the token is not one that opens this Worker", "invalid_token");
  return keyPrefix;
}

/** A valid token in the form for comparison. */
interface Opener {
  readonly bytes: Uint8Array;
  readonly opens: string;
}

/** The tokens of the last read variables, cached: variables do not change while the Worker runs. */
let last: { readonly variables: string; readonly openers: readonly Opener[] } | undefined;

function openedBy(env: WorkerEnv): readonly Opener[] {
  const variables = JSON.stringify([env.COORDINATOR_TOKEN, env.COORDINATOR_TOKENS]);
  if (last?.variables !== variables) {
    const openers = liveTokens(env).map(({ token, keyPrefix }) => ({ bytes: filled(token), opens: keyPrefix }));
    last = { variables, openers };
  }
  return last.openers;
}

/** Pads every token with zeros to one length. No token holds a zero. */
function filled(token: string): Uint8Array {
  const bytes = new Uint8Array(MAX_TOKEN_LENGTH);
  for (let i = 0; i < token.length; i++) bytes[i] = token.charCodeAt(i);
  return bytes;
}
