import { misconfigured } from "../lib/misconfigured.js";
import { OPTION_NAMES, type OptionNames } from "./option-names.js";

/** One entry of the allow list. Without a port it allows only the default port of the URL's scheme. */
export interface AllowedHost {
  readonly hostname: string;
  readonly port: number | undefined;
  /** The beginning of allowed paths, with a slash at its end. `undefined`: every path. */
  readonly prefix: string | undefined;
}

/**
 * Reads the list of hosts that webhooks may go to. The list is an array, or a text separated by commas, as in an environment
 * variable. Returns each entry as `host` or `host:port`, normalised, with its path prefix if it has one: `host/prefix/`. A host
 * is a DNS name (an international one in its `xn--` form) or an IP literal, IPv6 in brackets; a port is 1 to 65,535. A prefix
 * is whole segments of `A-Z a-z 0-9 . _ ~ -`. There are no wildcards.
 *
 * @throws CoordinationError `misconfigured` when the list is empty or an entry is not of that form.
 * @example
 * const allowedHosts = parseHosts(env.WEBHOOK_ALLOWED_HOSTS); // "a.example,b.example:8443,hooks.example/tenant-a/"
 */
export function parseHosts(hosts: string | readonly string[]): string[] {
  return parseAllowedHosts(hosts).map(
    ({ hostname, port, prefix = "" }) => hostname + (port === undefined ? "" : `:${port}`) + prefix,
  );
}

export function parseAllowedHosts(hosts: string | readonly string[], names: OptionNames = OPTION_NAMES): AllowedHost[] {
  // A missing environment variable arrives here untyped: it counts as empty.
  const entries = typeof hosts === "string" ? hosts.split(",").map((entry) => entry.trim()) : (hosts ?? []);
  const named = entries.filter((entry) => entry !== "");
  if (named.length === 0) throw misconfigured(`${names.allowedHosts} must name at least one host`);
  return named.map((entry, i) => parseEntry(entry, () => names.entryOf(names.allowedHosts, i, named.length)));
}

/**
 * Returns why no entry allows a URL; `undefined` when one does. Compares the host after URL normalisation, the port, and the path
 * by whole segments.
 */
export function refusalOf(url: URL, allowed: readonly AllowedHost[]): "host" | "path" | undefined {
  const defaultPort = url.protocol === "https:" ? 443 : 80;
  const port = url.port === "" ? defaultPort : Number(url.port);
  const here = allowed.filter((entry) => entry.hostname === url.hostname && (entry.port ?? defaultPort) === port);
  if (here.length === 0) return "host";
  return here.some(({ prefix }) => prefix === undefined || isBelow(url.pathname, prefix)) ? undefined : "path";
}

/**
 * Whether a path, whose dot segments the URL parser has resolved, is the prefix or below it.
 *
 * Receivers differ in what they decode or cut off before they route: `%2f`, `%2e`, a second decoding (`%252f`), `;` and what
 * follows it. Each could lead from `/a/` to `/b/`, so a path with `%` or `;` is below no prefix.
 */
function isBelow(path: string, prefix: string): boolean {
  return !/[%;]/.test(path) && `${path}/`.startsWith(prefix);
}

function parseEntry(entry: string, name: () => string): AllowedHost {
  const match = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?((?:\/[a-z0-9._~-]+)*)(\/?)$/i.exec(entry);
  const [, host = "", digits, path = "", slash] = match ?? [];
  const hostname = match === null ? undefined : normalise(host);
  const port = digits === undefined ? undefined : Number(digits);
  const isPath = path === "" ? slash === "" : !/\/\.\.?(\/|$)/.test(path);
  if (!hostname || !isPath || hostname.endsWith(".") || (port !== undefined && (port < 1 || port > 65_535))) {
    throw misconfigured(
      `${name()} must be host or host:port, perhaps with a path such as /a/, without scheme, wildcard or final dot`,
    );
  }
  return { hostname, port, prefix: path === "" ? undefined : `${path}/` };
}

function normalise(host: string): string | undefined {
  try {
    return new URL(`https://${host}`).hostname;
  } catch {
    return undefined;
  }
}
