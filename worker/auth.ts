import { bearerToken, unauthorized } from "../src/http/bearer.js";
import { hexDigest } from "../src/lib/digest.js";
import type { WorkerEnv } from "./env.js";
import { liveTokens, type TokenRights } from "./tokens.js";

export const REALM = "edge-coordinator";

/**
 * Returns what the request's bearer token opens.
 *
 * Looks up the token's SHA-256, so a call costs the same for any number of tokens. The time of the lookup depends on the digest
 * alone, from which a caller cannot compute a token. A refusal touches no storage.
 *
 * @throws {Problem} `unauthorized`.
 * @throws {CoordinationError} `misconfigured` when the Worker has no token, or a malformed one: it is never open. This error is
 * for logs only: the caller is not authenticated.
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export async function authenticate(request: Request, env: WorkerEnv): Promise<TokenRights> {
  const live = await liveTokens(env);
  const presented = bearerToken(request.headers.get("authorization"));
  if (presented === undefined) throw unauthorized(REALM, "send the token as `Authorization: Bearer …`");
  const digest = await hexDigest("SHA-256", presented);
  const rights = live.get(digest);
  if (rights === undefined) throw unauthorized(REALM, "the token is not one that opens this Worker", "invalid_token");
  return rights;
}
