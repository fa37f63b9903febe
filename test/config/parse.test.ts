import { describe, expect, it } from "vitest";
import { type CoordinatorConfig, type ParsedConfig, parseConfig } from "../../src/config/index.js";
import { MAX_SEC } from "../../src/lib/validate.js";
import { messageOf } from "./refusal.js";

/** Every field that a config may have: one that is new to the types does not compile until it stands here. */
const FULL: { readonly [K in keyof CoordinatorConfig]-?: Required<NonNullable<CoordinatorConfig[K]>> } = {
  backend: "upstash",
  upstash: {
    url: "https://redis.example",
    token: "t",
    keyPrefix: "",
    ttlSec: 0,
    keyLocking: false,
    allowHttp: true,
    requestTimeoutMs: 600_000,
  },
  durableObject: {
    binding: "OBJECTS",
    keyPrefix: "shop:",
    ttlSec: MAX_SEC,
    locationHint: "weur",
    jurisdiction: "eu",
    callTimeoutMs: 1,
  },
  http: {
    url: "https://worker.example",
    token: "t",
    ttlSec: MAX_SEC,
    requestTimeoutMs: 300_000,
    allowHttp: true,
  },
  completionTimeoutSec: 0,
  customParams: { region: "eu", nested: { list: [1, null] } },
};

const DEFAULTS: ParsedConfig = {
  backend: "memory",
  upstash: { keyPrefix: "coord:", ttlSec: 3_600, keyLocking: "auto", allowHttp: false, requestTimeoutMs: 10_000 },
  durableObject: { binding: "COORDINATOR", keyPrefix: "coord:", ttlSec: 3_600, callTimeoutMs: 10_000 },
  http: { ttlSec: 3_600, requestTimeoutMs: 30_000, allowHttp: false },
  completionTimeoutSec: 1_800,
  customParams: {},
};

describe("parseConfig", () => {
  it("puts every default in", () => {
    expect(parseConfig({})).toEqual(DEFAULTS);
    expect(parseConfig({ upstash: {}, durableObject: {}, http: {}, customParams: {} })).toEqual(DEFAULTS);
  });

  it("takes undefined for a field that is not given", () => {
    const unset = { url: undefined, token: undefined, keyPrefix: undefined, ttlSec: undefined };
    const parsed = parseConfig({
      backend: undefined,
      upstash: unset,
      http: undefined,
      completionTimeoutSec: undefined,
    });
    expect(parsed).toEqual(DEFAULTS);
  });

  it("keeps what is given, at the ends of the ranges too", () => {
    expect(parseConfig(FULL)).toEqual(FULL);
  });

  it("takes durations as texts with their units", () => {
    const config = { upstash: { ttlSec: "2h", requestTimeoutMs: "5s" }, completionTimeoutSec: "10m" } as const;
    expect(parseConfig(config)).toMatchObject({
      upstash: { ttlSec: 7_200, requestTimeoutMs: 5_000 },
      completionTimeoutSec: 600,
    });
  });

  it("takes its own result, and returns it equal", () => {
    for (const parsed of [parseConfig({}), parseConfig(FULL)]) expect(parseConfig(parsed)).toEqual(parsed);
  });

  it("passes the content of customParams on unchanged", () => {
    const client = { send: () => 1 };
    expect(parseConfig({ customParams: { client } }).customParams.client).toBe(client);
  });

  it("takes any name for a backend, since only createCoordinator knows the custom ones", () => {
    expect(parseConfig({ backend: "mine" }).backend).toBe("mine");
  });

  it.each([
    [undefined, "the config must be an object"],
    [null, "the config must be an object"],
    ["memory", "the config must be an object"],
    [[], "the config must be an object"],
    [{ bakend: "memory" }, "the config has an unknown field: bakend"],
    [{ backend: 5 }, "backend must be a string"],
    [{ backend: null }, "backend must be a string"],
    [{ backend: "" }, "backend must not be empty"],
    [{ upstash: null }, "upstash must be an object"],
    [{ upstash: "https://redis.example" }, "upstash must be an object"],
    [{ upstash: { uri: "https://redis.example" } }, "upstash has an unknown field: uri"],
    [{ upstash: { url: 5 } }, "upstash.url must be a string"],
    [{ upstash: { url: "" } }, "upstash.url must not be empty"],
    [{ upstash: { token: [] } }, "upstash.token must be a string"],
    [{ upstash: { token: "" } }, "upstash.token must not be empty"],
    [{ upstash: { keyPrefix: 5 } }, "upstash.keyPrefix must be a string"],
    ...["{a}", "a".repeat(257), "\uD800"].map((keyPrefix): [unknown, string] => [
      { upstash: { keyPrefix } },
      "upstash.keyPrefix must be at most 256 bytes of well-formed text without { or }",
    ]),
    [{ upstash: { ttlSec: "60" } }, 'upstash.ttlSec must be a number, or a text such as "30s", "10m" or "7d"'],
    [{ upstash: { ttlSec: Number.NaN } }, "upstash.ttlSec must be a number"],
    [{ upstash: { ttlSec: -1 } }, "upstash.ttlSec must be 0 to 31536000 seconds"],
    [{ upstash: { ttlSec: MAX_SEC + 1 } }, "upstash.ttlSec must be 0 to 31536000 seconds"],
    [{ durableObject: { name: "A" } }, "durableObject has an unknown field: name"],
    [{ durableObject: { binding: {} } }, "durableObject.binding must be a string"],
    [{ durableObject: { binding: "" } }, "durableObject.binding must not be empty"],
    [{ durableObject: { ttlSec: -1 } }, "durableObject.ttlSec must be 0 to 31536000 seconds"],
    [
      { durableObject: { keyPrefix: "}" } },
      "durableObject.keyPrefix must be at most 256 bytes of well-formed text without { or }",
    ],
    [{ upstash: { keyLocking: "yes" } }, 'upstash.keyLocking must be "auto", true or false'],
    [
      { upstash: { requestTimeoutMs: "60" } },
      'upstash.requestTimeoutMs must be a number, or a text such as "30s", "10m" or "7d"',
    ],
    ...[0, 1.5, 600_001].map((requestTimeoutMs): [unknown, string] => [
      { upstash: { requestTimeoutMs } },
      "upstash.requestTimeoutMs must be a whole number of milliseconds from 1 to 600000",
    ]),
    [{ upstash: { callTimeoutMs: 5 } }, "upstash has an unknown field: callTimeoutMs"],
    [{ durableObject: { requestTimeoutMs: 5 } }, "durableObject has an unknown field: requestTimeoutMs"],
    [{ durableObject: { locationHint: 5 } }, "durableObject.locationHint must be a string"],
    [{ durableObject: { jurisdiction: "" } }, "durableObject.jurisdiction must not be empty"],
    [
      { durableObject: { callTimeoutMs: 600_001 } },
      "durableObject.callTimeoutMs must be a whole number of milliseconds from 1 to 600000",
    ],
    [{ locationHint: "weur" }, "the config has an unknown field: locationHint"],
    [{ onEvent: "canary" }, "the config has an unknown field: onEvent"],
    [{ http: { keyPrefix: "a" } }, "http has an unknown field: keyPrefix"],
    [{ http: { ttlSec: 0 } }, "http.ttlSec must be more than 0 and at most 31536000 seconds"],
    [
      { http: { requestTimeoutMs: 300_001 } },
      "http.requestTimeoutMs must be a whole number of milliseconds from 1 to 300000",
    ],
    [{ http: { allowHttp: "yes" } }, "http.allowHttp must be true or false"],
    [{ http: { url: "" } }, "http.url must not be empty"],
    [{ http: { token: 5 } }, "http.token must be a string"],
    [{ completionTimeoutSec: -1 }, "completionTimeoutSec must be 0 to 31536000 seconds"],
    [{ completionTimeoutSec: MAX_SEC + 1 }, "completionTimeoutSec must be 0 to 31536000 seconds"],
    [{ completionTimeoutSec: "1800" }, 'completionTimeoutSec must be a number, or a text such as "30s", "10m" or "7d"'],
    [{ customParams: [] }, "customParams must be an object"],
    [{ customParams: null }, "customParams must be an object"],
  ])("refuses %j by name", async (input, message) => {
    expect(await messageOf(() => parseConfig(input))).toBe(message);
  });

  it("names everything that is wrong at once", async () => {
    const input = { bakend: "memory", upstash: { ttlSec: -1, uri: "" }, http: { url: 5 } };
    expect(await messageOf(() => parseConfig(input))).toBe(
      "upstash.ttlSec must be 0 to 31536000 seconds; upstash has an unknown field: uri; " +
        "http.url must be a string; the config has an unknown field: bakend",
    );
  });

  it.each([
    "Canary",
    { backend: ["Canary"] },
    { upstash: "Canary" },
    { upstash: { token: { secret: "Canary" } } },
    { upstash: { keyPrefix: "{Canary}" } },
    { upstash: { ttlSec: "Canary" } },
    { http: { url: ["Canary"] } },
    { customParams: "Canary" },
    // In a name's place.
    { "Canary-token": 1 },
    { upstash: { "https://Canary.example": 1 } },
    { [`${"a".repeat(32)}Canary`]: 1 },
  ])("shows no value: %j", async (input) => {
    // `messageOf` looks for it in all that an error shows.
    expect(await messageOf(() => parseConfig(input))).toMatch(/must be|unknown field/);
  });
});
