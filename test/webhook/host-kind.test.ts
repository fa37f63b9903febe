import { BlockList } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { kindOfHost } from "../../src/webhook/host-kind.js";

/** Node's own matcher, with the networks of the IANA registries that are not globally reachable. */
const reservedV4 = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  reservedV4.addSubnet(network, bits, "ipv4");
}

const globalV6 = new BlockList();
globalV6.addSubnet("2000::", 3, "ipv6");
const reservedV6 = new BlockList();
for (const [network, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  reservedV6.addSubnet(network, bits, "ipv6");
}

const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
const v4 = fc.oneof(
  fc.nat(0xffffffff),
  // Near the borders of the networks
  fc
    .tuple(fc.constantFrom(0, 10, 100, 127, 168, 169, 172, 192, 198, 203, 224), fc.nat(0xffffff))
    .map(([a, b]) => a * 2 ** 24 + b),
  fc
    .tuple(
      fc.constantFrom(
        "10.0.0.0",
        "100.64.0.0",
        "100.128.0.0",
        "168.63.129.16",
        "169.254.0.0",
        "172.16.0.0",
        "172.32.0.0",
        "192.0.0.0",
        "192.0.2.0",
        "192.88.99.0",
        "192.168.0.0",
        "198.18.0.0",
        "198.20.0.0",
        "198.51.100.0",
        "203.0.113.0",
        "203.0.114.0",
        "224.0.0.0",
      ),
      fc.integer({ min: -2, max: 2 }),
    )
    .map(([address, offset]) => (address.split(".").reduce((n, byte) => n * 256 + Number(byte), 0) + offset) >>> 0),
);

/** One value as the many texts that a URL parser takes for it. */
const spellings = (value: number): string[] => {
  const bytes = dotted(value).split(".").map(Number);
  return [
    dotted(value),
    String(value),
    `0x${value.toString(16)}`,
    `0${value.toString(8)}`,
    bytes.map((byte) => `0x${byte.toString(16)}`).join("."),
    bytes.map((byte) => `0${byte.toString(8)}`).join("."),
    `${bytes[0]}.${value % 2 ** 24}`,
    `${bytes[0]}.${bytes[1]}.${value % 2 ** 16}`,
    `${dotted(value)}.`,
  ];
};

test("IPv4 in every spelling is judged as Node's block list judges it", () => {
  fc.assert(
    fc.property(v4, (value) => {
      const isPublic = !reservedV4.check(dotted(value), "ipv4");
      for (const spelling of spellings(value)) {
        const kind = kindOfHost(new URL(`https://${spelling}`).hostname);
        if ((kind === "public") !== isPublic) expect.fail(`${spelling} is ${kind}`);
      }
    }),
    { numRuns: 20_000, seed: 1 },
  );
});

const word = fc.oneof(fc.constantFrom(0, 1, 0x1ff, 0x200, 0xdb8, 0xfff, 0x1000, 0xffff), fc.nat(0xffff));
const firstWord = fc.oneof(
  fc.constantFrom(
    0,
    0x64,
    0x100,
    0x1fff,
    0x2000,
    0x2001,
    0x2002,
    0x2003,
    0x3ffe,
    0x3fff,
    0x4000,
    0xfc00,
    0xfe80,
    0xff02,
  ),
  fc.integer({ min: 0x2000, max: 0x3fff }),
  fc.nat(0xffff),
);

test("IPv6 in every spelling is judged as Node's block list judges it", () => {
  fc.assert(
    fc.property(firstWord, fc.array(word, { minLength: 7, maxLength: 7 }), (first, others) => {
      const words = [first, ...others];
      const plain = words.map((value) => value.toString(16)).join(":");
      const isTunnelled = words[5] === 0x5efe;
      const isPublic = globalV6.check(plain, "ipv6") && !reservedV6.check(plain, "ipv6") && !isTunnelled;
      const padded = words.map((value) => value.toString(16).toUpperCase().padStart(4, "0")).join(":");
      const tail = dotted((words[6] ?? 0) * 65_536 + (words[7] ?? 0));
      const mixed = `${words
        .slice(0, 6)
        .map((value) => value.toString(16))
        .join(":")}:${tail}`;
      for (const spelling of [plain, padded, mixed]) {
        const { hostname } = new URL(`https://[${spelling}]`);
        const kind = kindOfHost(hostname);
        if ((kind === "public") !== isPublic) expect.fail(`${spelling} is ${kind}`);
      }
    }),
    { numRuns: 20_000, seed: 1 },
  );
});

test("kindOfHost separates loopback and single-label hosts, allowed in development, from reserved hosts", () => {
  for (const host of ["127.0.0.1", "127.255.255.255", "[::1]", "localhost", "a.localhost"]) {
    expect(kindOfHost(host)).toBe("loopback");
  }
  for (const host of ["metadata", "receiver", "xlocalhost", "a_b"]) expect(kindOfHost(host)).toBe("unqualified");
  for (const host of ["local", "a.local", "a.internal", "a.localdomain", "home.arpa", "[::2]", "[::]", "0.0.0.0"]) {
    expect(kindOfHost(host)).toBe("reserved");
  }
});

test("takes what a lax URL parser leaves of an address for malformed, not for a name", () => {
  for (const host of [
    "2130706433",
    "0x7f000001",
    "127.1",
    "a.0x7f",
    "1.2.3.4.5",
    "a..b",
    ".a",
    "a.",
    "",
    "*",
    "%31",
    "a b",
  ]) {
    expect(kindOfHost(host), host).toBe("malformed");
  }
});

test("leaves names alone that merely contain a reserved word", () => {
  for (const host of [
    "localhost.example",
    "internal.example",
    "local.example",
    "notlocalhost.example",
    "x-local.net",
  ]) {
    expect(kindOfHost(host)).toBe("public");
  }
});
