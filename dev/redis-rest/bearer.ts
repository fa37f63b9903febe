import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { RestError } from "./rest-error.js";

const digest = (text: string) => createHash("sha256").update(text).digest();

/**
 * Lets a request pass that carries the token, as `Authorization: Bearer …` or as `?_token=…`.
 *
 * @throws RestError 401
 */
export function requireToken(request: IncomingMessage, query: URLSearchParams, token: string): void {
  const sent = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? query.get("_token");
  if (sent === null) throw new RestError(401, "Unauthorized");
  if (!timingSafeEqual(digest(sent), digest(token)))
    throw new RestError(401, "WRONGPASS invalid or missing auth token");
}
