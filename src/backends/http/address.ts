import { CoordinationError } from "../../errors.js";

/** Where the Worker answers, without a slash at its end. The token goes there: in the open to this machine at most. */
export function baseOf(url: string, allowHttp: boolean): string {
  let parsedUrl: URL | undefined;
  try {
    parsedUrl = new URL(url);
  } catch {
    // The parser's own error quotes the URL.
  }
  const { protocol, hostname, origin, pathname, search, hash, username, password } = Object(parsedUrl) as URL;
  const isLocal = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && (isLocal || allowHttp))) {
    throw new CoordinationError("misconfigured", "url must be https, or http to this machine");
  }
  if (search + hash + username + password !== "") {
    throw new CoordinationError("misconfigured", "url must carry no user, query or fragment");
  }
  return origin + pathname.replace(/\/+$/, "");
}
