import { CoordinationError } from "../errors.js";
import { type AllowedHost, refusalOf } from "./allowed-host.js";
import { type HostKind, kindOfHost } from "./host-kind.js";
import type { OptionNames } from "./option-names.js";

const MAX_URL_LENGTH = 2048;

export interface TargetRules {
  readonly allowedHosts: readonly AllowedHost[];
  /** Development only: allows http, loopback and single-label hosts as well. */
  readonly allowHttp: boolean;
  readonly names: OptionNames;
}

/**
 * The guard against server-side request forgery: parses a webhook's URL, or throws why it is refused. Send to the returned
 * URL, not to the text: the guard has checked the parsed form.
 *
 * @throws CoordinationError `invalid_input`; its message names the host at most.
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
 */
export function checkTarget(text: string, rules: TargetRules): URL {
  const { allowHttp, allowedHosts, names } = rules;
  const url = parseStrictly(text);
  const forDevelopment = `for development, set ${names.allowHttp}`;
  if (url.protocol !== "https:" && !allowHttp) throw refused(`it must be https; ${forDevelopment}`);
  const kind = kindOfHost(url.hostname);
  if (!isFit(kind, allowHttp)) {
    throw refused(`its host is ${describe(kind)}${isFit(kind, true) ? `; ${forDevelopment}` : ""}`);
  }
  const refusal = refusalOf(url, allowedHosts);
  if (refusal === "host") {
    throw refused(`${url.host} is not on the list of allowed hosts: add it to ${names.allowedHosts}`);
  }
  if (refusal === "path") throw refused(`its path is below no prefix that ${names.allowedHosts} has for ${url.host}`);
  return url;
}

/**
 * Accepts only texts that every URL parser reads alike: `http(s)://host[:port]/…` in visible ASCII, no backslash, no userinfo.
 */
function parseStrictly(text: string): URL {
  if (typeof text !== "string" || text.length > MAX_URL_LENGTH) {
    throw refused(`it must be a text of at most ${MAX_URL_LENGTH} characters`);
  }
  if (!/^[!-[\]-~]+$/.test(text)) throw refused("it must be visible ASCII, percent-encoded, without a backslash");
  const authority = /^https?:\/\/([^/?#]+)/i.exec(text)?.[1];
  if (authority === undefined) throw refused("it must begin with https:// and a host");
  if (authority.includes("@")) throw refused("it must not carry a user name or password");
  if (text.includes("#")) throw refused("it must not carry a fragment");
  try {
    return new URL(text);
  } catch {
    // The URL parser's own error quotes the URL.
    throw refused("it does not parse");
  }
}

function isFit(kind: HostKind, allowHttp: boolean): boolean {
  return kind === "public" || (allowHttp && (kind === "loopback" || kind === "unqualified"));
}

function describe(kind: HostKind): string {
  return kind === "malformed" ? "neither a DNS name nor an IP address" : "not a public one";
}

function refused(reason: string): CoordinationError {
  return new CoordinationError("invalid_input", `url of the webhook: ${reason}`);
}
