import { Problem } from "../src/problem.js";
import { type LiveToken, liveTokens, type WorkerEnv } from "./env.js";

/**
 * Who asks: the key prefix that the request's bearer token opens.
 *
 * Compared are digests, all of one length, with every live token, and always to the last byte: the time it takes tells
 * neither how much of a token was right nor which one it was. A refusal touches no storage.
 *
 * @throws {Problem} `unauthorized`.
 * @throws {CoordinationError} `misconfigured` when the Worker has no token, or a malformed one: it is never open.
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export async function authenticate(request: Request, env: WorkerEnv): Promise<string> {
  const tokens = liveTokens(env);
  const presented = /^Bearer +([!-~]{1,512}) *$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (presented === undefined) throw unauthorized("send the token as `Authorization: Bearer …`");
  const keyPrefix = await keyPrefixOf(presented, tokens);
  if (keyPrefix === undefined) throw unauthorized("the token is not one that opens this Worker", "invalid_token");
  return keyPrefix;
}

async function keyPrefixOf(presented: string, tokens: readonly LiveToken[]): Promise<string | undefined> {
  const [wanted, ...digests] = await Promise.all([presented, ...tokens.map(({ token }) => token)].map(digestOf));
  let keyPrefix: string | undefined;
  for (const [i, digest] of digests.entries()) {
    const difference = digest.reduce((bits, byte, at) => bits | (byte ^ (wanted?.[at] ?? -1)), 0);
    if (difference === 0) keyPrefix = tokens[i]?.keyPrefix;
  }
  return keyPrefix;
}

async function digestOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function unauthorized(detail: string, error?: string): Problem {
  const challenge = `Bearer realm="edge-coordinator"${error === undefined ? "" : `, error="${error}"`}`;
  return new Problem("unauthorized", detail, { "www-authenticate": challenge });
}
