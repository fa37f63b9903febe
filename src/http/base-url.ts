import { CoordinationError } from "../errors.js";

/**
 * Returns a server's URL without a slash at its end. The client sends a token there, so the URL must be https, or http
 * to this machine. `allowHttp` permits http to any host. Messages hold no part of the URL, which may be a secret.
 *
 * @throws {CoordinationError} `misconfigured`
 */
export function baseUrl(url: string, allowHttp: boolean): string {
  let parsedUrl: URL | undefined;
  try {
    parsedUrl = new URL(url);
  } catch {
    // The parser's own error quotes the URL.
  }
  const { protocol, hostname, origin, pathname, search, hash, username, password } = Object(parsedUrl) as URL;
  const isLocal = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && (isLocal || allowHttp))) {
    throw new CoordinationError("misconfigured", "url must be https, or http to this machine (allowHttp: to any)");
  }
  if (search + hash + username + password !== "") {
    throw new CoordinationError("misconfigured", "url must carry no user, query or fragment");
  }
  return origin + pathname.replace(/\/+$/, "");
}
