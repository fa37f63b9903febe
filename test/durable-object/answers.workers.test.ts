import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import {
  DurableObjectCoordinator,
  type ObjectMethods,
  type ObjectNamespace,
} from "../../src/backends/durable-object/object/index.js";
import { placeOf } from "../../src/runtime/placement.js";
import { sizeOf } from "../../src/runtime/size.js";

afterEach(() => reset());

const MB = 1_048_576;
const ITEMS = 1_500;

/** The binding, with the size of each of its answers. */
function measured(): { namespace: ObjectNamespace; sizes: number[] } {
  const sizes: number[] = [];
  const real: ObjectNamespace = env.COORDINATOR;
  const namespace: ObjectNamespace = {
    idFromName: (name) => real.idFromName(name),
    jurisdiction: (name) => real.jurisdiction(name),
    get: (id, options) =>
      new Proxy(real.get(id, options), {
        get:
          (stub, method) =>
          async (...args: unknown[]) => {
            const reply: unknown = await Reflect.get(stub, method)(...args);
            sizes.push(sizeOf(reply));
            return reply;
          },
      }),
  };
  return { namespace, sizes };
}

async function fill(coordinator: DurableObjectCoordinator): Promise<string[]> {
  const items = Array.from({ length: ITEMS }, (_, i) => `${i}:${"x".repeat(2_000)}`);
  await coordinator.rpush("list", ...items);
  return items;
}

describe("row 61: calls on one object whose answers are large", () => {
  it("run until their answers take 4 MB; the other calls fail as not run", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    await fill(coordinator);
    const place = env.COORDINATOR.idFromName(`coord:${placeOf("kv", "list")}`);
    const stub = env.COORDINATOR.get(place) as unknown as ObjectMethods;
    const read = { transition: "kv.lrange" as const, id: "list", input: {} };
    const write = { transition: "kv.rpush" as const, id: "list", input: { op: "op", ttlMs: 60_000, values: ["late"] } };
    const replies = await stub.runMany([...Array.from({ length: 9 }, () => read), write]);
    expect(sizeOf(replies)).toBeLessThan(5.1 * MB);
    expect(replies.map(({ ok }) => ok)).toEqual([...Array(4).fill(true), ...Array(6).fill(false)]);
    for (const reply of replies.slice(4)) {
      expect(reply).toMatchObject({ code: "limit_exceeded", retryable: true, noRoom: true });
    }
    expect((await coordinator.lrange("list")).length).toBe(ITEMS);
  });

  it("come whole all the same, in answers of 4 MB", async () => {
    const { namespace, sizes } = measured();
    const coordinator = new DurableObjectCoordinator({ namespace });
    const items = await fill(coordinator);
    const lists = await Promise.all(Array.from({ length: 10 }, () => coordinator.lrange("list")));
    for (const list of lists) expect(list).toEqual(items);
    expect(Math.max(...sizes)).toBeLessThan(4.1 * MB);
  });
});
