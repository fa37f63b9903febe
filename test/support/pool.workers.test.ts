import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Redis } from "@upstash/redis/cloudflare";
import { afterEach, expect, it } from "vitest";

afterEach(() => reset());

const increment = { op: "", ttlMs: 60_000, delta: 1 };

it("runs an object with SQLite and its alarm on demand", async () => {
  const stub = env.COORDINATOR.getByName("pool");
  expect(await stub.run("kv.incr", "pool", { ...increment, op: "first" })).toMatchObject({ output: { result: "1" } });
  expect(await stub.run("kv.incr", "pool", { ...increment, op: "second" })).toMatchObject({ output: { result: "2" } });
  expect(await runDurableObjectAlarm(stub)).toBe(true);
});

it("starts every test with empty objects", async () => {
  const stub = env.COORDINATOR.getByName("pool");
  expect(await stub.run("kv.getInt", "pool", {})).toMatchObject({ output: { result: "0" } });
  expect(await runDurableObjectAlarm(stub)).toBe(false);
});

it("reaches the REST server", async () => {
  const redis = new Redis({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
  expect(await redis.ping()).toBe("PONG");
});
