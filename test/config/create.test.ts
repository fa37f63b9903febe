import { Redis } from "@upstash/redis";
import { Redis as EdgeRedis } from "@upstash/redis/cloudflare";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { ObjectNamespace } from "../../src/backends/durable-object/options.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { type CoordinatorConfig, createCoordinator, parseConfig, type RedisClient } from "../../src/config/index.js";
import {
  CompletionTracker,
  type Coordinator,
  type CoordinatorEvent,
  isDrainable,
  MemoryCoordinator,
} from "../../src/index.js";
import { type FaultProxy, startBlackHole } from "../support/fault-proxy.js";
import type {} from "../support/provided.js";
import { messageOf } from "./refusal.js";

/** A group from its registration to its end, seen by a wait. */
async function roundTrip(coordinator: Coordinator): Promise<string | undefined> {
  const tracker = new CompletionTracker(coordinator);
  const id = crypto.randomUUID();
  await tracker.register(id, ["a", "b"]);
  const waiting = tracker.wait(id, { timeoutMs: 5_000 });
  await tracker.ack(id, ["a", "b"]);
  return (await waiting)?.state;
}

/** How long a group may take that names no deadline; null: for ever. */
async function deadlineSec(coordinator: Coordinator): Promise<number | null> {
  const tracker = new CompletionTracker(coordinator);
  const { deadlineAtMs } = await tracker.register(crypto.randomUUID(), ["a"]);
  return deadlineAtMs === null ? null : Math.round((deadlineAtMs - Date.now()) / 10_000) * 10;
}

const namespace: ObjectNamespace = { idFromName: () => ({}), get: () => ({}), jurisdiction: () => namespace };

const CLIENT: RedisClient = { eval: () => {}, evalsha: () => {}, pipeline: () => {} };

/** Whatever this machine's own environment holds, tests must not see it. */
function clearEnvironment(): void {
  const names = ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "COORDINATOR_URL", "COORDINATOR_TOKEN"];
  for (const name of names) vi.stubEnv(name, undefined);
}
beforeAll(clearEnvironment);
afterEach(() => {
  vi.unstubAllEnvs();
  clearEnvironment();
});
afterAll(() => vi.unstubAllEnvs());

describe("every backend", () => {
  const options = { namespace, env: { COORDINATOR_TOKEN: "t", COORDINATOR_URL: "https://worker.example" } };
  const upstash = { url: "https://redis.example", token: "t" };

  it.each([
    ["memory", MemoryCoordinator],
    ["upstash", UpstashCoordinator],
    ["durable-object", DurableObjectCoordinator],
    ["http", HttpCoordinator],
  ])("%s is made by its name, with the deadline that groups get", async (backend, Class) => {
    for (const completionTimeoutSec of [undefined, 0, 60]) {
      const coordinator = await createCoordinator({ backend, upstash, completionTimeoutSec }, options);
      expect(coordinator).toBeInstanceOf(Class);
      expect(coordinator.completionTimeoutSec).toBe(completionTimeoutSec ?? 1_800);
    }
  });

  it("is made from what parseConfig returned as well", async () => {
    const config = parseConfig({ backend: "durable-object", durableObject: { ttlSec: 7 }, completionTimeoutSec: 9 });
    expect(await createCoordinator(config, options)).toMatchObject({ defaultTtlSec: 7, completionTimeoutSec: 9 });
  });

  it("gets the defaults that its own class has", async () => {
    const { upstash: parsed, durableObject, http } = parseConfig({});
    expect(parsed.ttlSec).toBe(new UpstashCoordinator(upstash).defaultTtlSec);
    expect(durableObject.ttlSec).toBe(new DurableObjectCoordinator({ namespace }).defaultTtlSec);
    const worker = new HttpCoordinator({ url: "https://worker.example", token: "t" });
    expect(http.ttlSec).toBe(worker.defaultTtlSec);
  });

  it("is refused when its config is wrong", async () => {
    expect(await messageOf(() => createCoordinator({ completionTimeoutSec: -1 }))).toMatch(
      /^completionTimeoutSec must/,
    );
    const unknown = { upstash: { tokn: "canary" } } as CoordinatorConfig;
    expect(await messageOf(() => createCoordinator(unknown))).toBe("upstash has an unknown field: tokn");
    const nothing = null as unknown as CoordinatorConfig;
    expect(await messageOf(() => createCoordinator(nothing))).toBe("the config must be an object");
  });
});

describe("what happens without a caller", () => {
  const upstash = { url: inject("restUrl"), token: inject("restToken"), keyPrefix: `${crypto.randomUUID()}:` };

  it.each(["memory", "upstash"])("is reported to onEvent: %s", async (backend) => {
    const events: CoordinatorEvent[] = [];
    const options = { onEvent: (event: CoordinatorEvent) => void events.push(event) };
    const coordinator = await createCoordinator({ backend, upstash }, options);
    const error = new Error("the handlers are gone");
    coordinator.onWake("completion", { input: () => ({}), act: () => Promise.reject(error) });
    await new CompletionTracker(coordinator).register("g", 0, { onComplete: { url: "https://app.example" } });
    if (isDrainable(coordinator)) await coordinator.drain();
    await expect.poll(() => events).toContainEqual({ type: "wake_failed", machine: "completion", id: "g", error });
  });

  it("needs a function as onEvent, when onEvent is set", async () => {
    const onEvent = "canary" as unknown as () => void;
    for (const backend of ["memory", "durable-object"]) {
      expect(await messageOf(() => createCoordinator({ backend }, { onEvent }))).toBe("onEvent must be a function");
    }
  });
});

describe("a server that does not answer", () => {
  let hole: FaultProxy;
  beforeAll(async () => {
    hole = await startBlackHole();
  });
  afterAll(() => hole.close());

  it("is waited for as long as the config says", async () => {
    const silent = { url: hole.url, token: "t", requestTimeoutMs: 40 };
    const never = { ...namespace, get: () => ({ run: () => new Promise(() => {}) }) };
    const made = [
      await createCoordinator({ backend: "upstash", upstash: silent }),
      await createCoordinator({ backend: "http", http: silent }),
      await createCoordinator(
        { backend: "durable-object", durableObject: { callTimeoutMs: 40 } },
        { namespace: never },
      ),
    ];
    const sinceMs = Date.now();
    for (const coordinator of made) {
      await expect(coordinator.incr("k")).rejects.toMatchObject({ code: "backend_unavailable", applied: "unknown" });
    }
    // By default it is ten seconds and more of each.
    expect(Date.now() - sinceMs).toBeLessThan(5_000);
  });
});

describe("memory", () => {
  it("is the default, whatever the environment holds", async () => {
    vi.stubEnv("UPSTASH_REDIS_REST_URL", inject("restUrl"));
    vi.stubEnv("UPSTASH_REDIS_REST_TOKEN", inject("restToken"));
    expect(await createCoordinator()).toBeInstanceOf(MemoryCoordinator);
    expect(await createCoordinator({}, { env: process.env, namespace })).toBeInstanceOf(MemoryCoordinator);
  });

  it("carries a group to its end, with the deadline of the config", async () => {
    expect(await roundTrip(await createCoordinator())).toBe("completed");
    expect(await deadlineSec(await createCoordinator())).toBe(1_800);
    expect(await deadlineSec(await createCoordinator({ completionTimeoutSec: 60 }))).toBe(60);
    expect(await deadlineSec(await createCoordinator({ completionTimeoutSec: 0 }))).toBeNull();
  });
});

describe("upstash", () => {
  const url = inject("restUrl");
  const token = inject("restToken");
  const env = { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token };
  const wrong = { UPSTASH_REDIS_REST_URL: "https://canary.invalid", UPSTASH_REDIS_REST_TOKEN: "canary-token" };
  const make = (upstash: CoordinatorConfig["upstash"], options = {}) =>
    createCoordinator({ backend: "upstash", upstash }, options);

  it("carries a group to its end over REST, with the deadline of the config", async () => {
    const coordinator = await createCoordinator({ backend: "upstash", completionTimeoutSec: 60 }, { env });
    expect(await roundTrip(coordinator)).toBe("completed");
    expect(await deadlineSec(coordinator)).toBe(60);
  });

  it("begins its keys as the config says, and by default as its class does", async () => {
    const key = crypto.randomUUID();
    await (await make({ keyPrefix: "shop:", ttlSec: 60 }, { env })).incr(key, 5);
    expect(await new UpstashCoordinator({ url, token, keyPrefix: "shop:" }).getInt(key)).toBe(5);
    await (await make({}, { env })).incr(key, 7);
    expect(await new UpstashCoordinator({ url, token }).getInt(key)).toBe(7);
    expect(await make({ ttlSec: 60 }, { env })).toMatchObject({ defaultTtlSec: 60 });
  });

  it("says that it locks its own keys where the config demands it", async () => {
    const locking = await make({ keyLocking: true }, { env });
    // As a stock Redis does.
    await expect(locking.incr("k")).rejects.toMatchObject({ code: "backend_rejected", applied: "no" });
    expect(await roundTrip(await make({ keyLocking: false }, { env }))).toBe("completed");
  });

  it("takes each secret of the config before the environment's", async () => {
    expect(await roundTrip(await make({ url, token }, { env: wrong }))).toBe("completed");
    expect(await roundTrip(await make({ url }, { env: { ...wrong, UPSTASH_REDIS_REST_TOKEN: token } }))).toBe(
      "completed",
    );
    expect(await roundTrip(await make({ token }, { env: { ...wrong, UPSTASH_REDIS_REST_URL: url } }))).toBe(
      "completed",
    );
    const mistaken = await make({ token: "canary-token" }, { env });
    await expect(mistaken.getInt("k")).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("finds its secrets in process.env, unless an env is handed in", async () => {
    vi.stubEnv("UPSTASH_REDIS_REST_URL", url);
    vi.stubEnv("UPSTASH_REDIS_REST_TOKEN", token);
    expect(await roundTrip(await make({}))).toBe("completed");
    expect(await messageOf(() => make({}, { env: {} }))).toMatch(/^upstash\.url is not set/);
    expect(await messageOf(() => make({}, { env: { UPSTASH_REDIS_REST_URL: url } }))).toMatch(/^upstash\.token is not/);
  });

  it("reads no global where there is no process", async () => {
    vi.stubGlobal("process", undefined);
    try {
      expect(await messageOf(() => make({}))).toMatch(/^upstash\.url is not set/);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it.each([
    ["@upstash/redis", () => new Redis({ url, token })],
    ["@upstash/redis/cloudflare", () => new EdgeRedis({ url, token })],
  ])("takes a client of %s in place of address and token", async (_, client) => {
    const coordinator = await make({ keyPrefix: "client:", ttlSec: 60 }, { redis: client(), env: wrong });
    expect(coordinator).toBeInstanceOf(UpstashCoordinator);
    expect(coordinator.defaultTtlSec).toBe(60);
    expect(await roundTrip(coordinator)).toBe("completed");
    const key = crypto.randomUUID();
    await coordinator.incr(key, 3);
    expect(await new UpstashCoordinator({ url, token, keyPrefix: "client:" }).getInt(key)).toBe(3);
  });

  it.each([
    [
      "no address",
      {},
      { env: { UPSTASH_REDIS_REST_TOKEN: "canary" } },
      /^upstash\.url is not set: .*UPSTASH_REDIS_REST_URL/,
    ],
    ["no token", { url }, { env: {} }, /^upstash\.token is not set: .*UPSTASH_REDIS_REST_TOKEN/],
    ["an empty variable", { url }, { env: { UPSTASH_REDIS_REST_TOKEN: "" } }, /^upstash\.token is not set/],
    [
      "a binding in a variable's place",
      { url },
      { env: { UPSTASH_REDIS_REST_TOKEN: { get: "canary" } } },
      /^UPSTASH_REDIS_REST_TOKEN in env must be a string$/,
    ],
    ["an address that is none", { url: "canary://x", token }, {}, /^upstash\.url must be https/],
    [
      "http to another machine",
      { url: "http://canary.example", token },
      {},
      /^upstash\.url must be https, or http to this/,
    ],
    ["such an address in env", {}, { env: { ...env, UPSTASH_REDIS_REST_URL: "canary" } }, /^upstash\.url must be/],
    ["a token that no header holds", { url, token: "canary\nb" }, {}, /^upstash\.token must hold/],
    [
      "a client and an address",
      { url },
      { redis: CLIENT },
      /^redis takes the place of upstash\.url and upstash\.token/,
    ],
    ["a client and a token", { token: "canary" }, { redis: CLIENT }, /^redis takes the place of/],
    ["a client that hides its address", {}, { redis: CLIENT }, /^redis: the address of this redis client/],
    ["a client that is none", {}, { redis: { canary: 1 } }, /^redis must be a client of @upstash\/redis$/],
    ["null for a client", {}, { redis: null }, /^redis must be a client of @upstash\/redis$/],
  ])("refuses %s", async (_, config, options, message) => {
    expect(await messageOf(() => make(config, options))).toMatch(message);
  });
});

describe("durable-object", () => {
  const make = (durableObject: CoordinatorConfig["durableObject"], options: object) =>
    createCoordinator({ backend: "durable-object", durableObject }, options);

  it("finds the binding in env: COORDINATOR, or the one that is named", async () => {
    expect(await make({}, { env: { COORDINATOR: namespace } })).toBeInstanceOf(DurableObjectCoordinator);
    expect(await make({ binding: "OBJECTS" }, { env: { OBJECTS: namespace, COORDINATOR: "canary" } })).toBeInstanceOf(
      DurableObjectCoordinator,
    );
  });

  it("calls the namespace that is handed in before the one of the binding", async () => {
    const names: string[] = [];
    const heard: ObjectNamespace = {
      ...namespace,
      idFromName: (name) => {
        names.push(name);
        return {};
      },
      get: () => ({ run: () => ({ ok: true, output: { result: "4" } }) }),
    };
    const other: ObjectNamespace = { ...namespace, idFromName: () => expect.unreachable("the binding was called") };
    const coordinator = await make({ keyPrefix: "shop:" }, { namespace: heard, env: { COORDINATOR: other } });
    expect(await coordinator.getInt("k")).toBe(4);
    await (await make({}, { namespace: heard })).getInt("k");
    await new DurableObjectCoordinator({ namespace: heard }).getInt("k");
    expect(names).toEqual(["shop:{kv}k", "coord:{kv}k", "coord:{kv}k"]);
  });

  it("asks for its objects where the config says", async () => {
    const asked: unknown[] = [];
    const heard: ObjectNamespace = {
      idFromName: () => ({}),
      get: (_, place) => {
        asked.push(place);
        return { run: () => ({ ok: true, output: { result: "4" } }) };
      },
      jurisdiction: (name) => {
        asked.push(name);
        return heard;
      },
    };
    await (await make({ locationHint: "weur", jurisdiction: "eu" }, { namespace: heard })).getInt("k");
    await (await make({}, { namespace: heard })).getInt("k");
    expect(asked).toEqual(["eu", { locationHint: "weur" }, {}]);
  });

  it.each([
    ["no env", {}, {}],
    ["no binding of that name", {}, { env: { OTHER: namespace, canary: "canary" } }],
    ["a name that is not in env", { binding: "canary" }, { env: { COORDINATOR: namespace } }],
    ["a name that every object has", { binding: "constructor" }, { env: {} }],
    ["a text in the binding's place", {}, { env: { COORDINATOR: "canary" } }],
    ["null for an env", {}, { env: null }],
  ])("refuses %s", async (_, config, options) => {
    expect(await messageOf(() => make(config, options))).toMatch(/^durableObject\.binding .* names no Durable Object/);
  });

  it("refuses a namespace that is none", async () => {
    expect(await messageOf(() => make({}, { namespace: "canary", env: { COORDINATOR: namespace } }))).toBe(
      "namespace must be a Durable Object namespace",
    );
  });
});

describe("http", () => {
  const token = "token-of-the-worker";
  let worker: WorkerHost;
  beforeAll(async () => {
    worker = await startWorker({ vars: { COORDINATOR_TOKEN: token } });
  });
  afterAll(() => worker.close());
  const make = (http: CoordinatorConfig["http"], options = {}) =>
    createCoordinator({ backend: "http", http, completionTimeoutSec: 60 }, options);

  it("carries a group to its end in a real Worker, with the deadline of the config", async () => {
    const coordinator = await make({}, { env: { COORDINATOR_URL: worker.url, COORDINATOR_TOKEN: token } });
    expect(await roundTrip(coordinator)).toBe("completed");
    expect(await deadlineSec(coordinator)).toBe(60);
  });

  it("takes each secret of the config before the environment's", async () => {
    const { url } = worker;
    const wrong = { COORDINATOR_URL: "https://canary.invalid", COORDINATOR_TOKEN: "canary-token" };
    expect(await roundTrip(await make({ url, token }, { env: wrong }))).toBe("completed");
    expect(await roundTrip(await make({ url }, { env: { ...wrong, COORDINATOR_TOKEN: token } }))).toBe("completed");
    expect(await roundTrip(await make({ token }, { env: { ...wrong, COORDINATOR_URL: url } }))).toBe("completed");
    await expect((await make({ url }, { env: wrong })).getInt("k")).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("finds its secrets in process.env, unless an env is handed in", async () => {
    vi.stubEnv("COORDINATOR_URL", worker.url);
    vi.stubEnv("COORDINATOR_TOKEN", token);
    expect(await roundTrip(await make({}))).toBe("completed");
    expect(await messageOf(() => make({}, { env: {} }))).toMatch(/^http\.url is not set: .*COORDINATOR_URL/);
  });

  it("keeps raw keys as long as the config says, and talks in the open where it allows that", async () => {
    const open = { url: "http://worker.example", token, ttlSec: 60, allowHttp: true };
    expect(await make(open)).toMatchObject({ defaultTtlSec: 60 });
  });

  it.each([
    ["no token", { url: "https://worker.example" }, {}, /^http\.token is not set: .*COORDINATOR_TOKEN/],
    ["an address that is none", { url: "canary", token }, {}, /^http\.url must be https/],
    ["http to another machine", { url: "http://canary.example", token }, {}, /^http\.url must be https/],
    ["a token of two words", { url: "https://worker.example", token: "canary b" }, {}, /^http\.token must be/],
    ["a binding for a variable", {}, { env: { COORDINATOR_URL: { canary: 1 } } }, /^COORDINATOR_URL in env must be/],
  ])("refuses %s", async (_, config, options, message) => {
    expect(await messageOf(() => make(config, options))).toMatch(message);
  });
});
