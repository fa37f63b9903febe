import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Redis } from "@upstash/redis/cloudflare";
import { afterEach, expect, it } from "vitest";

afterEach(() => reset());

it("runs an object with SQLite and its alarm on demand", async () => {
  const stub = env.COORDINATOR.getByName("pool");
  expect(await stub.add(1)).toBe(1);
  await stub.addLater(Date.now() + 60_000);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await runDurableObjectAlarm(stub)).toBe(false);
  expect(await stub.add(1)).toBe(102);
});

it("starts every test with empty objects", async () => {
  expect(await env.COORDINATOR.getByName("pool").add(1)).toBe(1);
});

it("reaches the REST server", async () => {
  const redis = new Redis({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
  expect(await redis.ping()).toBe("PONG");
});
