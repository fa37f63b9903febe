import { expect, inject, it } from "vitest";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { newOp } from "../../../src/lib/ids.js";
import { expectSoon } from "../../support/expect-soon.js";
import type {} from "../../support/provided.js";

const coordinator = (): UpstashCoordinator =>
  new UpstashCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix: "edge:" });

it("runs, watches and drains in an edge runtime", async () => {
  await expectSoon(250, async () => {
    const id = newOp();
    const counted = { fingerprint: "s", kind: "counted" as const, lists: [], total: 1 };
    const registration = { op: newOp(), ...counted, timeoutMs: 0, ttlMs: 60_000, deliveryId: newOp() };
    await coordinator().run("completion.register", id, registration);
    const waiting = coordinator().watch("completion.wait", id, {}, { timeoutMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const sinceMs = Date.now();
    await coordinator().run("completion.ack", id, { op: newOp(), tasks: [{ id: "a" }], earlyTtlMs: 1_000 });
    expect((await waiting).view?.state).toBe("completed");
    return Date.now() - sinceMs;
  });
  expect(await coordinator().drain()).toMatchObject({ woken: 0 });
});
