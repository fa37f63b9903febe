/**
 * The kind of a host, by its spelling alone (nothing is resolved):
 * - `public`: a name with a dot, or a globally routed address
 * - `loopback`: this machine
 * - `unqualified`: a single label, which only a private network resolves
 * - `reserved`: private, link-local, metadata, documentation, tunnelled and multicast addresses, and names kept for them
 * - `malformed`: neither a plain DNS name nor an address
 */
export type HostKind = "public" | "loopback" | "unqualified" | "reserved" | "malformed";

type Network = readonly [address: string, bits: number];

const LOOPBACK_V4: Network = ["127.0.0.0", 8];

/** @see https://www.iana.org/assignments/iana-ipv4-special-registry */
const RESERVED_V4: readonly Network[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // shared address space; a cloud's metadata at 100.100.100.200
  ["168.63.129.16", 32], // a cloud's host agent, on an address that looks public
  ["169.254.0.0", 16], // link-local; metadata at 169.254.169.254
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3], // multicast, reserved, broadcast
];

/** Returns the kind of a parsed URL's `hostname`: lower case, IPv4 dotted, IPv6 compressed and in brackets. */
export function kindOfHost(hostname: string): HostKind {
  if (hostname.startsWith("[")) return kindOfV6(hostname);
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(hostname)) return kindOfV4(hostname);
  return kindOfName(hostname);
}

function kindOfName(name: string): HostKind {
  if (name.length > 253 || !/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name)) return "malformed";
  // A last label in digits is another spelling of an address, which the URL parser should have turned into one.
  if (/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)) return "malformed";
  if (/(^|\.)localhost$/.test(name)) return "loopback";
  if (/(^|\.)(localdomain|local|internal|home\.arpa)$/.test(name)) return "reserved";
  return name.includes(".") ? "public" : "unqualified";
}

function kindOfV4(address: string): HostKind {
  if (within(address, LOOPBACK_V4)) return "loopback";
  return RESERVED_V4.some((network) => within(address, network)) ? "reserved" : "public";
}

function within(address: string, [base, bits]: Network): boolean {
  return toNumber(address) >>> (32 - bits) === toNumber(base) >>> (32 - bits);
}

function toNumber(address: string): number {
  return address.split(".").reduce((value, byte) => value * 256 + Number(byte), 0);
}

/**
 * Only global unicast (2000::/3) is public. Its blocks that tunnel or carry an IPv4 address, or are kept for protocols and
 * documentation, are reserved. So are all other blocks (mapped, NAT64, unique local, link-local, multicast).
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
function kindOfV6(hostname: string): HostKind {
  if (hostname === "[::1]") return "loopback";
  const match = /^\[([23][0-9a-f]{3}):([0-9a-f]{0,4}):[0-9a-f:]*\]$/.exec(hostname);
  if (match === null) return "reserved";
  const first = Number.parseInt(match[1] ?? "", 16);
  const second = Number.parseInt(match[2] || "0", 16); // empty: "::" begins here
  const isReserved =
    (first === 0x2001 && (second < 0x200 || second === 0xdb8)) || // IETF protocols, Teredo, ORCHID; documentation
    first === 0x2002 || // 6to4
    (first === 0x3fff && second < 0x1000) || // documentation
    /:5efe:[0-9a-f]+:[0-9a-f]+\]$/.test(hostname); // ISATAP: an IPv4 address in the last 32 bits
  return isReserved ? "reserved" : "public";
}
