import { Redis } from "@upstash/redis";
import { expect, inject, it } from "vitest";

it("runs in an edge runtime", () => {
  expect(Reflect.get(globalThis, "EdgeRuntime")).toBe("edge-runtime");
});

it("reaches the REST server", async () => {
  const redis = new Redis({ url: inject("restUrl"), token: inject("restToken") });
  expect(await redis.ping()).toBe("PONG");
});
