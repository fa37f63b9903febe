import { CoordinationError } from "../errors.js";
import { OPTION_NAMES, type OptionNames } from "./option-names.js";

/** One entry of the allow list. Without a port it allows only the default port of the URL's scheme. */
export interface AllowedHost {
  readonly hostname: string;
  readonly port: number | undefined;
}

/**
 * Reads the list of hosts that webhooks may go to. The list is an array, or a text separated by commas, as in an environment
 * variable. Returns each entry as `host` or `host:port`, normalised. A host is a DNS name (an international one in its `xn--`
 * form) or an IP literal, IPv6 in brackets; a port is 1 to 65,535. There are no wildcards.
 *
 * @throws CoordinationError `misconfigured` when the list is empty or an entry is not of that form.
 * @example
 * const allowedHosts = parseHosts(env.WEBHOOK_ALLOWED_HOSTS); // "a.example,b.example:8443"
 */
export function parseHosts(hosts: string | readonly string[]): string[] {
  return parseAllowedHosts(hosts).map(({ hostname, port }) => (port === undefined ? hostname : `${hostname}:${port}`));
}

export function parseAllowedHosts(hosts: string | readonly string[], names: OptionNames = OPTION_NAMES): AllowedHost[] {
  // A missing environment variable arrives here untyped: it counts as empty.
  const entries = typeof hosts === "string" ? hosts.split(",").map((entry) => entry.trim()) : (hosts ?? []);
  const named = entries.filter((entry) => entry !== "");
  if (named.length === 0) throw misconfigured(`${names.allowedHosts} must name at least one host`);
  return named.map((entry, i) => parseEntry(entry, () => names.entryOf(names.allowedHosts, i, named.length)));
}

/** Returns whether a URL has the same host, after URL normalisation, and the same port as an entry. */
export function isAllowed(url: URL, allowed: readonly AllowedHost[]): boolean {
  const defaultPort = url.protocol === "https:" ? 443 : 80;
  const port = url.port === "" ? defaultPort : Number(url.port);
  return allowed.some((entry) => entry.hostname === url.hostname && (entry.port ?? defaultPort) === port);
}

function parseEntry(entry: string, name: () => string): AllowedHost {
  const match = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i.exec(entry);
  const hostname = match === null ? undefined : normalise(match[1] ?? "");
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (hostname === undefined || hostname.endsWith(".") || (port !== undefined && (port < 1 || port > 65_535))) {
    throw misconfigured(`${name()} must be host or host:port, without scheme, path, wildcard or final dot`);
  }
  return { hostname, port };
}

function normalise(host: string): string | undefined {
  try {
    return new URL(`https://${host}`).hostname;
  } catch {
    return undefined;
  }
}

function misconfigured(message: string): CoordinationError {
  return new CoordinationError("misconfigured", message);
}
