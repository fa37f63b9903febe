import { env as bindings } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import { CoordinatorObject } from "../../src/backends/durable-object/object/index.js";
import { CoordinationError } from "../../src/errors.js";
import { expectEachChangeOnce } from "../support/life-of-groups.js";
import { bench, groupObject, inside, makeTracker, resetAll, type Stub } from "../support/test-worker.js";

afterEach(resetAll);

const HOUR_MS = 3_600_000;
const tracker = makeTracker();

beforeEach(() => {
  // An hour ahead of the platform, so that no alarm rings before a test says so.
  bench.frozenAtMs = Date.now() + HOUR_MS;
});

/** Rings the alarm as often as it is due, in steps. */
async function pass(stub: Stub, ms: number, stepMs = 600_000): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    bench.aheadMs += stepMs;
    await stub.ring();
  }
}

const outcomes = () => bench.events.map((event) => (event.type === "delivery" ? event.outcome : event.type));

it("an object whose rule fails for one handler refuses that one, and calls the others", async () => {
  bench.handlerRule = (handler) => {
    if (handler === "call") throw new Error("the rule is broken");
    return undefined;
  };
  for (const [id, handler] of [
    ["refused", "call"],
    ["called", "record"],
  ] as const) {
    await tracker.register(id, 0, { onEnd: { handler } });
    await groupObject(id).ring();
  }
  expect(bench.deliveries).toHaveLength(1);
  expect(outcomes()).toEqual(["unhandled", "delivered"]);
});

describe("row 48: an object", () => {
  it.each([
    ["a handler that was renamed", { handler: "renamed" }, "no running instance has handler:renamed"],
    ["webhooks without a sender", { url: "https://a.example/" }, "no running instance sends webhooks"],
  ])("reports %s at once, then once an hour, and the dead letter", async (_, onEnd, error) => {
    await tracker.register("g", 0, { onEnd, ttlSec: 604_800 });
    const stub = groupObject("g");
    await stub.ring();
    expect(bench.events).toEqual([
      {
        type: "delivery",
        machine: "completion",
        id: "g",
        deliveryId: expect.any(String),
        attempt: 0,
        outcome: "unhandled",
        error,
      },
    ]);
    await pass(stub, 50 * 60_000);
    expect(outcomes()).toEqual(["unhandled"]);
    await pass(stub, 25 * HOUR_MS);
    expect((await tracker.status("g"))?.delivery).toMatchObject({ state: "dead", attempts: 0, lastError: error });
    const heard = outcomes();
    expect(heard.length).toBeGreaterThan(20);
    expect(heard.length).toBeLessThan(27);
    expect([heard.filter((outcome) => outcome === "dead").length, heard.at(-1)]).toEqual([1, "dead"]);
    await pass(stub, 24 * HOUR_MS, HOUR_MS);
    expect(outcomes()).toEqual(heard);
  });

  it("says what is wrong with its webhooks, to the delivery that needs them alone", async () => {
    const stub = groupObject("g");
    await inside(stub, (object) =>
      Object.assign(object, {
        webhooks: () => {
          throw new CoordinationError("misconfigured", 'WEBHOOK_SECRET must be "whsec_…"');
        },
      }),
    );
    await tracker.register("g", 0, { onEnd: { handler: "record", payload: null } });
    await stub.ring();
    expect(outcomes()).toEqual(["delivered"]);
    const { generation } = (await tracker.status("g")) ?? { generation: 0 };
    await tracker.register("g", 0, { onEnd: { url: "https://a.example/" }, restart: { from: generation } });
    bench.aheadMs += 1;
    await stub.ring();
    const error = 'no running instance sends webhooks: WEBHOOK_SECRET must be "whsec_…"';
    expect(bench.events.slice(1)).toMatchObject([{ type: "delivery", outcome: "unhandled", error }]);
  });

  it("reports both what its options refuse, and the delivery that waits for them", async () => {
    const stub = groupObject("g");
    await inside(stub, (object) => Object.assign(object, { retry: { maxAttempts: 0, baseDelayMs: 0, maxDelayMs: 0 } }));
    await tracker.register("g", 1, { onTimeout: { handler: "record", payload: null }, timeoutSec: 60 });
    await pass(stub, 60_000, 60_000);
    expect((await tracker.status("g"))?.state).toBe("timed_out");
    expect(bench.events).toMatchObject([
      { type: "wake_failed", error: { code: "invalid_input" } },
      { type: "delivery", outcome: "unhandled", error: "no running instance has handler:record" },
    ]);
  });

  it("warns on the console where its class has no onEvent, at most once a minute", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const stub = groupObject("g");
    const own = CoordinatorObject.prototype as unknown as { onEvent: unknown };
    await inside(stub, (object) => Object.assign(object, { onEvent: own.onEvent }));
    await tracker.register("g", 0, { onEnd: { handler: "renamed" } });
    await stub.ring();
    await tracker.register("g", 0, { onEnd: { handler: "renamed" }, restart: true });
    await stub.ring();
    const lines = warn.mock.calls.flat();
    warn.mockRestore();
    expect(lines).toEqual([expect.stringMatching(/group "g" waits: .*handler:renamed/)]);
  });
});

describe("row 50: an object", () => {
  it("reports a handler's error text to onEvent, and hides it from the status", async () => {
    bench.handler = () => {
      throw new Error("postgres://app:s3cret@db");
    };
    await tracker.register("g", 0, { onEnd: { handler: "call" } });
    await groupObject("g").ring();
    expect(bench.events).toMatchObject([{ outcome: "retry", error: "postgres://app:s3cret@db" }]);
    expect((await tracker.status("g"))?.delivery).toMatchObject({ state: "pending", lastError: "the handler failed" });
    const stored = await inside(groupObject("g"), (_, { storage }) =>
      JSON.stringify(storage.sql.exec("SELECT * FROM records").toArray()),
    );
    expect(stored).toContain("the handler failed");
    expect(stored).not.toContain("s3cret");
  });
});

describe("row 75: an object", () => {
  it("tells handlers whose group it is, where its class knows tenants", async () => {
    const own = makeTracker("coord:acme:");
    const stub = groupObject("g", "coord:acme:");
    await inside(stub, (object) => Object.assign(object, { tenantOf: (keyPrefix: string) => keyPrefix.split(":")[1] }));
    await own.register("g", 0, { onEnd: { handler: "record" } });
    await stub.ring();
    await tracker.register("g", 0, { onEnd: { handler: "record" } });
    await groupObject("g").ring();
    expect(bench.deliveries.map(({ tenant }) => tenant)).toEqual(["acme", undefined]);
  });
});

it("objects report each change of a group once, and no repeated call", async () => {
  const coordinator = new DurableObjectCoordinator({ namespace: bindings.COORDINATOR });
  const advance = async (ms: number): Promise<void> => {
    bench.aheadMs += ms;
    await groupObject("timed").ring();
  };
  await expectEachChangeOnce({ coordinator, events: bench.changes, id: (name) => name, advance });
});
