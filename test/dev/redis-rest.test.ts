import { Redis } from "@upstash/redis";
import { Redis as TcpRedis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { type RestServer, startRestServer } from "../../dev/redis-rest/index.js";

const TOKEN = "secret";
const ROUTES = ["/", "/get/key", "/pipeline", "/multi-exec", "/subscribe/channel", "/psubscribe/ch*"];

let rest: RestServer;
let tcp: TcpRedis;
let redis: Redis;
let used = 0;

beforeAll(async () => {
  rest = await startRestServer({ redisUrl: inject("redisUrl"), token: TOKEN });
  tcp = new TcpRedis(inject("redisUrl"));
  redis = new Redis({ url: rest.url, token: TOKEN, automaticDeserialization: false, enableAutoPipelining: false });
});

afterEach(async () => {
  const keys = await tcp.keys("redis-rest:*");
  if (keys.length > 0) await tcp.del(...keys);
});

afterAll(async () => {
  tcp.disconnect();
  await rest.close();
});

/** A key that no other test uses. */
function key(name = "key"): string {
  return `redis-rest:${++used}:${name}`;
}

function http(path: string, init: RequestInit & { base64?: boolean } = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(init.base64 && { "upstash-encoding": "base64" }) };
  return fetch(`${rest.url}${path}`, { ...init, headers: { ...headers, ...init.headers } });
}

function post(path: string, body: unknown, init: { base64?: boolean } = {}): Promise<Response> {
  return http(path, { method: "POST", body: JSON.stringify(body), ...init });
}

describe("through the real client", () => {
  it("runs commands of every reply type", async () => {
    const name = key();
    expect(await redis.set(name, "value")).toBe("OK");
    expect(await redis.get(name)).toBe("value");
    expect(await redis.get(key("absent"))).toBeNull();
    expect(await redis.incrby(key("counter"), 41)).toBe(41);
    expect(await redis.ping()).toBe("PONG");
  });

  it("leaves a hash as the list that Redis sends", async () => {
    const name = key();
    await redis.hset(name, { a: "1", b: "2" });
    expect(await new Redis({ url: rest.url, token: TOKEN }).hgetall(name)).toEqual({ a: 1, b: 2 });
    const reply = await post("/", ["hgetall", name]);
    expect(await reply.json()).toEqual({ result: ["a", "1", "b", "2"] });
  });

  it.each([
    ["unicode", "héllo — 你好 🎉"],
    ["control characters", "a\0b\u0001\r\n\t\u007f"],
    ["the text OK", "OK"],
    ["what looks like base64", "T0s="],
    ["JSON", '{"a":[1,"two",null]}'],
    ["a number", "12345678901234567890"],
    ["nothing", ""],
    ["quotes and slashes", `"'\\/%2F?&=#`],
    ["two megabytes", "é".repeat(1_000_000)],
  ])("keeps %s as it is", async (_, value) => {
    const name = key();
    await redis.set(name, value);
    expect(await redis.get(name)).toBe(value);
    expect(await tcp.get(name)).toBe(value);
  });

  it("gives back bytes that are no UTF-8 when base64 is asked for", async () => {
    const name = key();
    await tcp.set(name, Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    const reply = await post("/", ["GET", name], { base64: true });
    expect(await reply.json()).toEqual({ result: Buffer.from([0xff, 0xfe, 0x00, 0x80]).toString("base64") });
  });

  it("runs a pipeline, in order, with an error in its place", async () => {
    const [text, number] = [key("text"), key("number")];
    await redis.set(text, "x");
    const pipeline = redis.pipeline().incr(number).incr(text).incr(number);
    expect(await pipeline.exec({ keepErrors: true })).toEqual([
      { result: 1, error: undefined },
      { result: undefined, error: expect.stringMatching(/^ERR value is not an integer/) },
      { result: 2, error: undefined },
    ]);
  });

  it("runs a transaction, and keeps what stands around a command that fails", async () => {
    const [text, number] = [key("text"), key("number")];
    const reply = await post("/multi-exec", [
      ["SET", text, "x"],
      ["INCR", text],
      ["INCR", number],
    ]);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toEqual([
      { result: "OK" },
      { error: expect.stringMatching(/^ERR value is not an integer/) },
      { result: 1 },
    ]);
    expect(await redis.multi().set(text, "y").get(text).exec()).toEqual(["OK", "y"]);
  });

  it("runs nothing of a transaction that Redis refuses", async () => {
    const name = key();
    const reply = await post("/multi-exec", [
      ["SET", name, "x"],
      ["NOSUCHCOMMAND", name],
    ]);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toEqual({ error: expect.stringMatching(/^EXECABORT/) });
    expect(await tcp.exists(name)).toBe(0);
  });

  it("keeps transactions apart that come together", async () => {
    const name = key();
    const both = await Promise.all(
      Array.from({ length: 50 }, () => redis.multi().incr(name).incr(name).exec<[number, number]>()),
    );
    expect(both.every(([first, second]) => second === first + 1)).toBe(true);
    expect(await tcp.get(name)).toBe("100");
  });

  it("runs scripts, by text and by digest", async () => {
    const name = key();
    const script = `return { redis.call("INCRBY", KEYS[1], ARGV[1]), { "nested", false }, "OK" } -- ${name}`;
    const sha = await redis.scriptLoad(script);
    expect(await redis.eval(script, [name], ["2"])).toEqual([2, ["nested", null], "OK"]);
    expect(await redis.evalsha(sha, [name], ["3"])).toEqual([5, ["nested", null], "OK"]);
  });

  it("answers NOSCRIPT for a digest that is not known", async () => {
    const absent = "0".repeat(40);
    await expect(redis.evalsha(absent, [], [])).rejects.toThrow(/NOSCRIPT/);
    const reply = await post("/", ["EVALSHA", absent, 0], { base64: true });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toEqual({ error: expect.stringMatching(/^NOSCRIPT /) });
  });

  it("names the fault of a command that Redis refuses", async () => {
    const name = key();
    await redis.set(name, "x");
    await expect(redis.hget(name, "field")).rejects.toThrow(/WRONGTYPE/);
  });

  it("streams the messages of a channel", async () => {
    const channel = key("channel");
    const subscriber = redis.subscribe<string>(channel);
    const messages: unknown[] = [];
    subscriber.on("message", ({ message }) => messages.push(message));
    await new Promise<void>((resolve) => subscriber.on("subscribe", () => resolve()));
    await redis.publish(channel, "one, with a comma");
    await redis.publish(channel, "two 🎉");
    await expect.poll(() => messages).toEqual(["one, with a comma", "two 🎉"]);
    await subscriber.unsubscribe();
    await expect.poll(() => tcp.pubsub("NUMSUB", channel)).toEqual([channel, 0]);
  });

  it("streams the messages of a pattern", async () => {
    const base = key("pattern");
    const channel = `${base}:1`;
    const subscriber = redis.psubscribe<string>(`${base}:*`);
    const messages: unknown[] = [];
    subscriber.on("pmessage", ({ channel: from, message }) => messages.push([from, message]));
    await expect.poll(() => redis.publish(channel, "a, b")).toBe(1);
    await expect.poll(() => messages).toEqual([[channel, "a, b"]]);
    await subscriber.unsubscribe();
  });
});

describe("by plain HTTP", () => {
  it("encodes every string in base64, but for an OK that is the whole reply", async () => {
    const name = key();
    const ask = async (...command: string[]) => (await post("/", command, { base64: true })).json();
    expect(await ask("SET", name, "OK")).toEqual({ result: "OK" });
    expect(await ask("RPUSH", `${name}:list`, "OK", "b")).toEqual({ result: 2 });
    expect(await ask("LRANGE", `${name}:list`, "0", "-1")).toEqual({ result: ["T0s=", "Yg=="] });
    expect(await ask("PING")).toEqual({ result: "UE9ORw==" });
    const many = await post("/pipeline", [["PING"], ["GET", `${name}:absent`]], { base64: true });
    expect(await many.json()).toEqual([{ result: "UE9ORw==" }, { result: null }]);
  });

  it("takes a command in the path, with the token in the query", async () => {
    const name = key("a b/c");
    const encoded = encodeURIComponent(name);
    const set = await fetch(`${rest.url}/set/${encoded}/${encodeURIComponent("v/é")}?_token=${TOKEN}`);
    expect(await set.json()).toEqual({ result: "OK" });
    expect(await (await http(`/get/${encoded}`)).json()).toEqual({ result: "v/é" });
  });

  it("takes a body as the last argument of the path, and options after it from the query", async () => {
    const name = key();
    const set = await http(`/set/${name}?EX=100`, { method: "POST", body: "plain text" });
    expect(await set.json()).toEqual({ result: "OK" });
    expect(await tcp.get(name)).toBe("plain text");
    expect(await tcp.ttl(name)).toBeGreaterThan(90);
  });

  it.each(ROUTES)("refuses requests to %s without the token", async (route) => {
    const body = JSON.stringify([["PING"]]);
    const none = await fetch(rest.url + route, { method: "POST", body });
    const wrong = await fetch(rest.url + route, { method: "POST", body, headers: { authorization: "Bearer other" } });
    const inQuery = await fetch(`${rest.url}${route}?_token=other`, { method: "POST", body });
    for (const reply of [none, wrong, inQuery]) {
      expect(reply.status).toBe(401);
      expect(await reply.json()).toEqual({ error: expect.any(String) });
    }
  });

  it.each([
    ["no JSON", "/", "{"],
    ["nothing", "/", ""],
    ["an object", "/", "{}"],
    ["an empty command", "/", "[]"],
    ["a list as an argument", "/", `["SET", "key", ["value"]]`],
    ["null as an argument", "/", `["SET", "key", null]`],
    ["one command as a pipeline", "/pipeline", `["PING"]`],
    ["an empty pipeline", "/pipeline", "[]"],
    ["an empty transaction", "/multi-exec", "[]"],
    ["a command that is none", "/", `["NOSUCHCOMMAND"]`],
    ["a command that takes the connection", "/", `["subscribe", "channel"]`],
    ["a command that waits on the connection", "/pipeline", `[["BLPOP", "key", 0]]`],
    ["a broken path", "/get/%E0%A4%A", ""],
  ])("answers 400 to %s", async (_, path, body) => {
    const reply = await http(path, { method: "POST", body });
    expect(reply.status).toBe(400);
    expect(await reply.json()).toEqual({ error: expect.any(String) });
  });

  it("answers 405 to another method", async () => {
    expect((await http("/", { method: "DELETE" })).status).toBe(405);
  });

  it("answers 413 to a body above 10 MB, with and without its length", async () => {
    const body = JSON.stringify(["SET", key(), "x".repeat(10 * 1024 * 1024)]);
    expect((await http("/", { method: "POST", body })).status).toBe(413);
    const chunked: RequestInit & { duplex: "half" } = {
      method: "POST",
      body: new Blob([body]).stream(),
      duplex: "half",
    };
    expect((await http("/", chunked)).status).toBe(413);
  });

  it("logs each request with its route and its commands' names", async () => {
    rest.requests.clear();
    await post("/", ["ping"]);
    await post("/pipeline", [["PING"], ["TIME"]]);
    await post("/", "no command");
    expect(rest.requests.latest).toEqual([
      { route: "command", commands: ["PING"], status: 200 },
      { route: "pipeline", commands: ["PING", "TIME"], status: 200 },
      { route: "command", commands: [], status: 400 },
    ]);
    expect([rest.requests.count(), rest.requests.count("command"), rest.requests.count("multi-exec")]).toEqual([
      3, 2, 0,
    ]);
  });
});
