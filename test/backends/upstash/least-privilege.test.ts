import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisProcess, type RestServer, startRedis, startRestServer } from "../../../dev/redis-rest/index.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { keysOf } from "../../../src/backends/upstash/keys.js";
import { CompletionTracker, CoordinationError } from "../../../src/index.js";
import { outcomeOf, type Place } from "../faults/operation.js";
import { OPERATIONS } from "../faults/operations.js";

const GUIDE = fileURLToPath(new URL("../../../docs/security.md", import.meta.url));
const USER = "coordinator";
const TOKEN = "the-token-of-the-least-privilege";
/** A tracker that needs more than this for an end waits for something that does not come. */
const WAIT_MS = 300;

/** The commands of this test, and those of a connection. */
const OWN = ["acl", "auth", "config", "info", "ping", "script", "client", "hello", "command", "unsubscribe"];

let redis: RedisProcess;
let admin: Redis;
let rest: RestServer;
let made = 0;

beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.url);
  // PING is for the REST server alone.
  await admin.call("ACL", "SETUSER", USER, ...(await rules()), "+ping");
  const { host } = new URL(redis.url);
  rest = await startRestServer({ redisUrl: `redis://${USER}:a-long-password@${host}`, token: TOKEN });
});
afterAll(async () => {
  await rest.close();
  admin.disconnect();
  await redis.close();
});

/** What the guide tells the reader to type, behind the user's name. */
async function rules(): Promise<string[]> {
  const [, line] = /^ACL SETUSER coordinator (.+)$/m.exec(await readFile(GUIDE, "utf8")) ?? [];
  if (line === undefined) throw new Error("docs/security.md has no line of ACL SETUSER");
  return line.split(" ");
}

const client = (options: { ttlSec?: number } = {}): UpstashCoordinator =>
  new UpstashCoordinator({ url: rest.url, token: TOKEN, ...options });

function placeOf(c: UpstashCoordinator): Place {
  const id = `least-${++made}`;
  return { c, id, hook: "https://hooks.example/", hooked: () => 0, settle: async () => {}, waitMs: WAIT_MS, memo: {} };
}

const isRefusal = (error: unknown): boolean => error instanceof CoordinationError && error.code === "unauthorized";

/** Runs every public operation as the user; returns what was refused for want of a right. */
async function refused(): Promise<string[]> {
  const names: string[] = [];
  for (const { method, when = "", prepare, run } of OPERATIONS) {
    const place = placeOf(client());
    const outcomes = [await outcomeOf((async () => prepare?.(place))()), await outcomeOf(run(place))];
    if (outcomes.some((outcome) => "error" in outcome && isRefusal(outcome.error))) names.push(`${method} ${when}`);
  }
  return names;
}

/** The commands that ran, those inside scripts too, but not those of this test and of the REST server. */
async function used(): Promise<string[]> {
  const stats = String(await admin.call("INFO", "commandstats"));
  const names = [...stats.matchAll(/^cmdstat_(\S+?):calls=[1-9]/gm)].map(([, name = ""]) => name);
  return names.filter((name) => !OWN.includes(name) && !/[|]/.test(name));
}

describe("the Redis user of docs/security.md", () => {
  it("waits, and hears of the end", async () => {
    const tracker = new CompletionTracker(client());
    await tracker.register("heard", ["a"]);
    const waiting = tracker.wait("heard", { timeoutMs: 20_000 });
    await new CompletionTracker(client()).ack("heard", "a");
    expect(await waiting).toMatchObject({ state: "completed" });
  });

  it.each([
    ["GET", "coord:another"],
    ["KEYS", "*"],
    ["SCAN", "0"],
    ["FLUSHALL"],
    ["CONFIG", "GET", "*"],
    ["HGET", "another-application", "field"],
    ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff831", "1", "another-application"],
    ["SUBSCRIBE", "another-application"],
    ["ACL", "LIST"],
  ])("may not %s %s", async (command, ...args) => {
    const { host } = new URL(redis.url);
    const user = new Redis(`redis://${USER}:a-long-password@${host}`);
    await expect(user.call(command, ...args)).rejects.toThrow(/NOPERM/);
    user.disconnect();
  });

  it("may do every public operation, and needs each of its rights", async () => {
    await admin.call("SCRIPT", "FLUSH");
    expect(await refused()).toEqual([]);
    // The one use of PERSIST: a key that expires, and then does not.
    for (const ttlSec of [60, 0]) await client({ ttlSec }).incr("persists");
    // The one use of ZSCORE: a list finds a line whose record was evicted.
    await new CompletionTracker(client()).register("evicted", ["a"]);
    await admin.del(keysOf("coord:", "completion", "evicted").record);
    await new CompletionTracker(client()).list();
    const granted = (await rules()).filter((rule) => rule.startsWith("+")).map((rule) => rule.slice(1));
    expect(granted.sort()).toEqual((await used()).sort());
  });
});

describe("a Redis whose memory is full, with noeviction", () => {
  it("refuses what would grow, keeps what is stored, and goes on when it has room", async () => {
    const tracker = new CompletionTracker(client());
    await tracker.register("before", ["a", "b"]);
    await tracker.ack("before", "a");
    await admin.call("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1");
    await expect(tracker.register("during", ["a"])).rejects.toMatchObject({
      code: "backend_unavailable",
      message: expect.stringMatching(/memory is full/),
    });
    expect(await tracker.status("before")).toMatchObject({ state: "open", remaining: 1 });
    await admin.call("CONFIG", "SET", "maxmemory", "0");
    expect(await tracker.status("during")).toBeNull();
    expect(await tracker.ack("before", "b")).toMatchObject({ verdict: "accepted", ended: true });
  });
});
