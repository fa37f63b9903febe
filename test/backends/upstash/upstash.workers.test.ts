import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { newOp } from "../../../src/lib/ids.js";
import { expectSoon } from "../../support/expect-soon.js";

function coordinator(): UpstashCoordinator {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = env;
  return new UpstashCoordinator({ url, token, keyPrefix: "workers:" });
}

describe("in workerd", () => {
  it("runs a transition", async () => {
    const key = newOp();
    expect(await coordinator().incr(key, 2)).toBe(2);
    expect(await coordinator().getInt(key)).toBe(2);
  });

  it("watches, and hears of the end", async () => {
    await expectSoon(250, async () => {
      const id = newOp();
      const counted = { fingerprint: "s", kind: "counted" as const, lists: [], total: 1 };
      const registration = { op: newOp(), ...counted, timeoutMs: 0, ttlMs: 60_000, deliveryId: newOp() };
      await coordinator().run("completion.register", id, registration);
      const waiting = coordinator().watch("completion.wait", id, {}, { timeoutMs: 10_000 });
      await scheduler.wait(200);
      const sinceMs = Date.now();
      await coordinator().run("completion.ack", id, { op: newOp(), tasks: [{ id: "a" }], earlyTtlMs: 1_000 });
      expect((await waiting).view?.state).toBe("completed");
      return Date.now() - sinceMs;
    });
  });

  it("rejects with the reason of an abort, and with wait_timeout in time", async () => {
    const signal = AbortSignal.timeout(50);
    const caught = await coordinator()
      .watch("completion.wait", newOp(), {}, { timeoutMs: 9_000, signal })
      .catch((e) => e);
    expect(caught).toBe(signal.reason);
    const late = coordinator().watch("completion.wait", newOp(), {}, { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: "wait_timeout" });
  });
});
