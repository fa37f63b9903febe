import { Redis } from "@upstash/redis";
import { Redis as CloudflareRedis } from "@upstash/redis/cloudflare";
import { describe, expect, it } from "vitest";
import { placeOf, shardOf } from "../../../src/runtime/placement.js";
import { incrOnce } from "../once.js";
import { acks, registration, TOKEN, useLab } from "./support.js";

const lab = useLab();

describe("one request an operation", () => {
  it.each([
    ["five commands, four of them inside the script", 600_000, 5],
    ["four commands where the group has no deadline", 0, 4],
  ])("of one ack is %s", async (_, timeoutMs, count) => {
    const coordinator = lab.coordinator();
    await coordinator.run("completion.register", "g", registration({ total: 3, timeoutMs }));
    await coordinator.run("completion.ack", "g", acks("a"));
    const commands = async (): Promise<number> => {
      const stats = [...(await lab.raw.info("commandstats")).matchAll(/cmdstat_(\w+):calls=(\d+)/g)];
      return stats.reduce((sum, [, name, calls]) => (name === "info" ? sum : sum + Number(calls)), 0);
    };
    const before = await commands();
    await coordinator.run("completion.ack", "g", acks("b"));
    expect((await commands()) - before).toBe(count);
  });

  it("sends exactly one once the server knows the script", async () => {
    const coordinator = lab.coordinator();
    lab.rest.requests.clear();

    await coordinator.incr("n");
    await coordinator.getInt("n");
    await coordinator.sadd("s", "a", "b");
    await coordinator.rpush("l", ...Array.from({ length: 1_000 }, (_, i) => `v${i}`));
    await coordinator.lrange("l");
    await coordinator.expire("n", 5);
    await coordinator.run("completion.register", "g", registration());
    await coordinator.run("completion.ack", "g", acks("a"));
    expect((await coordinator.watch("completion.wait", "g", {}, { timeoutMs: 1_000 })).ready).toBe(true);

    expect(lab.rest.requests.latest.map(({ commands }) => commands)).toEqual(Array(9).fill(["EVALSHA"]));
    expect(lab.rest.requests.count()).toBe(9);
  });

  it("sends the script once when the server has lost it", async () => {
    const coordinator = lab.coordinator();
    expect(await coordinator.incr("n")).toBe(1);
    await lab.raw.script("FLUSH");
    lab.rest.requests.clear();
    expect(await coordinator.incr("n")).toBe(2);
    expect(await coordinator.incr("n")).toBe(3);
    expect(lab.rest.requests.latest.map(({ commands }) => commands[0])).toEqual(["EVALSHA", "EVAL", "EVALSHA"]);
  });

  it("does without key locking once the server refuses it, and remembers that for itself alone", async () => {
    const coordinator = lab.coordinator({ keyLocking: "auto" });
    await lab.raw.script("FLUSH");
    expect(await coordinator.incr("n")).toBe(1);
    expect(lab.rest.requests.latest.map(({ commands }) => commands[0])).toEqual(["EVALSHA", "EVAL", "EVALSHA", "EVAL"]);
    lab.rest.requests.clear();
    expect(await coordinator.incr("n")).toBe(2);
    expect(lab.rest.requests.count()).toBe(1);

    lab.rest.requests.clear();
    await lab.coordinator({ keyLocking: "auto" }).incr("n");
    expect(lab.rest.requests.latest.map(({ commands }) => commands[0])).toEqual(["EVALSHA", "EVAL", "EVALSHA"]);
  });

  it("says so where key locking is demanded and the server refuses it", async () => {
    await expect(lab.coordinator({ keyLocking: true }).incr("n")).rejects.toMatchObject({
      code: "backend_rejected",
      retryable: false,
      applied: "no",
    });
  });
});

it("carries the session along, so that a replica answers only when it has caught up", async () => {
  const coordinator = lab.faulty();
  await coordinator.getInt("n");
  lab.proxy.faults.push({ status: 200, body: '{"result":"={}"}', headers: { "upstash-sync-token": "session-7" } });
  await coordinator.run("completion.status", "g", {});
  await coordinator.getInt("n");
  expect(lab.proxy.requests.at(-1)?.headers["upstash-sync-token"]).toBe("session-7");
});

describe("values", () => {
  const TRAPS = [
    "123",
    "null",
    "true",
    "1e3",
    '"x"',
    "{}",
    "[]",
    "",
    "!x",
    "=x",
    " ",
    "a\nb",
    "ü€😀",
    "\u0000",
    "0x10",
  ];

  it("come back as they were sent", async () => {
    const coordinator = lab.coordinator();
    await coordinator.rpush("l", ...TRAPS);
    expect(await coordinator.lrange("l")).toEqual(TRAPS);
  });

  it("come back as they were sent through a client that deserializes and pipelines", async () => {
    const coordinator = lab.coordinator({ redis: new Redis({ url: lab.rest.url, token: TOKEN }) });
    await coordinator.rpush("l", ...TRAPS);
    expect(await coordinator.lrange("l")).toEqual(TRAPS);
  });

  it("are empty lists where there is nothing, and an empty output stays an object", async () => {
    const coordinator = lab.coordinator();
    expect(await coordinator.lrange("nothing")).toEqual([]);
    expect(await coordinator.run("completion.status", "nobody", {})).toEqual({});
    const { view } = await coordinator.run("completion.register", "g", registration());
    expect(view?.errors).toEqual([]);
  });
});

describe("a client that is handed in", () => {
  it("lends its address, token and headers, and stays as it is", async () => {
    for (const Client of [Redis, CloudflareRedis]) {
      for (const enableAutoPipelining of [true, false]) {
        const redis = new Client({ url: lab.proxy.url, token: TOKEN, enableAutoPipelining });
        const inner = Reflect.get(redis, "client") as { headers: Record<string, string>; retry: object };
        inner.headers["X-Gateway"] = "yes";
        const before = JSON.stringify(inner);
        const coordinator = lab.coordinator({ redis });
        await coordinator.incr("n");
        expect(JSON.stringify(inner)).toBe(before);
        expect(lab.proxy.requests.at(-1)?.headers).toMatchObject({
          authorization: `Bearer ${TOKEN}`,
          "x-gateway": "yes",
          "content-type": "application/json",
        });
        expect(Object.keys(lab.proxy.requests.at(-1)?.headers ?? {}).join()).not.toContain("telemetry");
      }
    }
  });

  it("does not send twice what was applied and lost, whatever its own retries", async () => {
    for (const retry of [undefined, { retries: 5 }, false as const]) {
      const redis = new Redis({ url: lab.proxy.url, token: TOKEN, ...(retry === undefined ? {} : { retry }) });
      const coordinator = lab.coordinator({ redis });
      await coordinator.getInt("n");
      lab.proxy.requests.length = 0;
      lab.proxy.faults.push("dropped after");
      await expect(incrOnce(coordinator, "n")).rejects.toMatchObject({
        code: "backend_unavailable",
        retryable: true,
        applied: "unknown",
      });
      expect(lab.proxy.requests).toHaveLength(1);
    }
    expect(await lab.coordinator().getInt("n")).toBe(3);
  });

  it("is refused when its address cannot be read", () => {
    const requester = new Redis({ request: async () => ({ result: 1 as never }) });
    const want = expect.objectContaining({
      code: "misconfigured",
      message: expect.stringContaining("pass url and token"),
    });
    expect(() => lab.coordinator({ redis: requester })).toThrow(want);
  });
});

describe("a fetch that is handed in", () => {
  it("carries commands and streams, and is called by itself, with a client as well", async () => {
    for (const address of [{}, { redis: new Redis({ url: lab.rest.url, token: TOKEN }) }]) {
      const seen: { path: string | undefined; self: unknown; method: string | undefined }[] = [];
      // The platform's own refuses to be called as a method of something else.
      async function own(this: unknown, url: string, init: RequestInit): Promise<Response> {
        seen.push({ path: url.slice(lab.rest.url.length).split("/")[1], self: this, method: init.method });
        return fetch(url, init);
      }
      const coordinator = lab.coordinator({ ...address, fetch: own });
      const id = "redis" in address ? "client" : "plain";
      await coordinator.run("completion.register", id, registration());
      const waiting = coordinator.watch("completion.wait", id, {}, { timeoutMs: 10_000 });
      await expect.poll(() => seen.map(({ path }) => path)).toContain("subscribe");
      await coordinator.run("completion.ack", id, acks("a"));
      expect((await waiting).ready).toBe(true);
      expect(seen.length).toBeGreaterThan(3);
      expect(seen.every(({ self, method }) => self === undefined && method === "POST")).toBe(true);
    }
  });

  it("takes the platform's place, and its failures are those of the network", async () => {
    const refuse = () => Promise.reject(new TypeError(`fetch failed: ${TOKEN}`));
    const coordinator = lab.coordinator({ fetch: refuse });
    await expect(coordinator.getInt("n")).rejects.toMatchObject({ code: "backend_unavailable", retryable: true });
  });
});

describe("keys", () => {
  it("of one script share a hash tag, whatever the id", async () => {
    const coordinator = lab.coordinator();
    const ids = ["plain", "{braces}", "}{", "{}x", "a:b", "ü€", "x".repeat(200), "{0}", "due"];
    lab.proxy.requests.length = 0;
    const spied = lab.faulty();
    for (const id of ids) {
      await spied.incr(id);
      await spied.run("completion.register", id, registration({ timeoutMs: 60_000 }));
    }
    for (const { body } of lab.proxy.requests) {
      const [command, , count, ...rest] = JSON.parse(body) as [string, string, number, ...string[]];
      if (command !== "evalsha") continue;
      const tags = rest.slice(0, count).map((key) => /\{([^}]+)\}/.exec(key)?.[1]);
      expect(new Set(tags).size).toBe(1);
      expect(Number(tags[0])).toBeLessThan(64);
    }
    expect(await coordinator.getInt("{braces}")).toBe(1);
    const stored = await lab.raw.keys(`${lab.keyPrefix}*`);
    const shard = shardOf(placeOf("completion", "plain"));
    expect(stored).toContain(`${lab.keyPrefix}{${shard}}:completion:plain`);
    expect(stored.filter((key) => !/\}:(due|index:\w+)$/.test(key))).toHaveLength(2 * ids.length);
  });

  it("of other prefixes are another world", async () => {
    await lab.coordinator({ keyPrefix: "one:" }).incr("n");
    expect(await lab.coordinator({ keyPrefix: "two:" }).getInt("n")).toBe(0);
  });
});

describe("options", () => {
  it.each([
    [{ keyPrefix: "a{b" }, "invalid_input"],
    [{ ttlSec: -1 }, "invalid_input"],
    [{ requestTimeoutMs: 0 }, "invalid_input"],
    [{ completionTimeoutSec: Number.NaN }, "invalid_input"],
    [{ url: undefined }, "misconfigured"],
    [{ token: "" }, "misconfigured"],
    [{ token: "secret\nline" }, "misconfigured"],
    [{ url: "redis://h" }, "misconfigured"],
    [{ url: "https://secret:secret@host" }, "misconfigured"],
    [{ url: "https://host?secret" }, "misconfigured"],
    [{ url: "secret" }, "misconfigured"],
    [{ redis: new Redis({ url: "https://h.example", token: "t" }), url: "https://h.example" }, "misconfigured"],
  ])("refuse %o", (options, code) => {
    const error = thrownBy(() => lab.coordinator(options));
    expect(error).toMatchObject({ name: "CoordinationError", code });
    expect(`${error}`).not.toContain("secret");
  });

  it("say what the coordinator is", () => {
    const coordinator = lab.coordinator({ ttlSec: 7, completionTimeoutSec: 9 });
    expect(coordinator).toMatchObject({ isDistributed: true, defaultTtlSec: 7, completionTimeoutSec: 9 });
    expect(lab.coordinator()).toMatchObject({ defaultTtlSec: 3_600 });
    expect(lab.coordinator().completionTimeoutSec).toBeUndefined();
  });

  it("refuse an unknown transition and a bad id before anything is sent", async () => {
    const coordinator = lab.coordinator();
    await expect(coordinator.run("nope.step" as never, "x", {} as never)).rejects.toMatchObject({
      code: "invalid_input",
    });
    await expect(coordinator.run("toString.step" as never, "x", {} as never)).rejects.toMatchObject({
      code: "invalid_input",
    });
    await expect(coordinator.run("completion.status", "", {})).rejects.toMatchObject({ code: "invalid_input" });
    await expect(coordinator.run("completion.status", "\ud800", {})).rejects.toMatchObject({ code: "invalid_input" });
    expect(lab.rest.requests.count()).toBe(0);
  });
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
