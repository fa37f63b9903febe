import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import { DurableObjectCoordinator, type ObjectNamespace } from "../../src/backends/durable-object/object/index.js";
import { CompletionTracker } from "../../src/trackers/completion.js";

afterEach(() => reset());

/** The binding, with its calls counted by method. */
function counted(): { namespace: ObjectNamespace; calls: string[] } {
  const calls: string[] = [];
  const real: ObjectNamespace = env.COORDINATOR;
  const namespace: ObjectNamespace = {
    idFromName: (name) => real.idFromName(name),
    jurisdiction: (name) => real.jurisdiction(name),
    get: (id, options) =>
      new Proxy(real.get(id, options), {
        get: (stub, method) => {
          calls.push(String(method));
          return (...args: unknown[]) => Reflect.get(stub, method)(...args);
        },
      }),
  };
  return { namespace, calls };
}

it("makes one round trip an operation", async () => {
  const { namespace, calls } = counted();
  const coordinator = new DurableObjectCoordinator({ namespace });
  const tracker = new CompletionTracker(coordinator);
  const operations: (() => Promise<unknown>)[] = [
    () => coordinator.incr("n"),
    () => coordinator.getInt("n"),
    () => coordinator.setIfAbsent("flag", 60),
    () => coordinator.sadd("set", "a", "b"),
    () => coordinator.srem("set", "a"),
    () => coordinator.scard("set"),
    () => coordinator.rpush("list", "a", "b"),
    () => coordinator.lrange("list"),
    () => coordinator.expire("list", 60),
    () => coordinator.delete("list"),
    () => tracker.register("g", ["a", "b"], { onEnd: { handler: "record" } }),
    () => tracker.status("g"),
    () => tracker.ack("g", ["a", "b"]),
    () => tracker.wait("g"),
    () => tracker.redeliver("g"),
    () => tracker.cancel("g", "late"),
  ];
  for (const operation of operations) {
    calls.length = 0;
    await operation();
    expect(calls, operation.toString()).toEqual([operation.toString().includes("wait") ? "watch" : "run"]);
  }
});

it("makes one round trip of 100 acks that begin at once, and keeps their order", async () => {
  const { namespace, calls } = counted();
  const tracker = new CompletionTracker(new DurableObjectCoordinator({ namespace }));
  await tracker.register("g", 100);
  calls.length = 0;
  const acks = await Promise.all(Array.from({ length: 100 }, (_, i) => tracker.ack("g", `task-${i}`)));
  expect(calls).toEqual(["runMany"]);
  expect(acks.map(({ remaining }) => remaining)).toEqual(Array.from({ length: 100 }, (_, i) => 99 - i));
  expect(acks.map(({ ended }) => ended).indexOf(true)).toBe(99);
});

it("says what the object lacks when its class is another one", async () => {
  const { namespace } = counted();
  const other: ObjectNamespace = {
    ...namespace,
    get: (id, options) => {
      const stub = namespace.get(id, options);
      return { run: () => Reflect.get(stub, "noSuchMethod")() };
    },
  };
  await expect(new DurableObjectCoordinator({ namespace: other }).getInt("k")).rejects.toMatchObject({
    code: "misconfigured",
  });
});

it("refuses handlers, which belong into the object", () => {
  const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
  expect(() => new CompletionTracker(coordinator, { handlers: { done: () => {} } })).toThrow(
    expect.objectContaining({ code: "unsupported" }),
  );
});
