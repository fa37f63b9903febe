import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { settle } from "../../src/testing/index.js";
import { held, makeBench } from "./bench.js";

const JSON_TYPE = { "content-type": "application/json" };
const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const COUNTS = JSON.stringify({ parse: none, embed: none });

/** The answer to a client that waits for a request without tasks. */
const answerTo = (body: BodyInit | null, init: ResponseInit = {}, options = {}): Promise<Response> =>
  makeBench({ handler: () => new Response(body, { headers: JSON_TYPE, ...init }), ...options }).post({
    prefer: "wait=5",
  });

describe("a JSON object", () => {
  it.each([
    ["empty", "{}", `{"queueStatus":${COUNTS}}`],
    ["with fields", '{"a":1}', `{"a":1,"queueStatus":${COUNTS}}`],
    ["with blanks around", ' {"a": [{}] \n} \n', ` {"a": [{}] \n,"queueStatus":${COUNTS}}`],
    [
      "with numbers that a parser would round",
      '{"n":12345678901234567890.10}',
      `{"n":12345678901234567890.10,"queueStatus":${COUNTS}}`,
    ],
    [
      "with fields that mean something elsewhere",
      '{"__proto__":{"queueStatus":1}}',
      `{"__proto__":{"queueStatus":1},"queueStatus":${COUNTS}}`,
    ],
    ["behind a byte order mark", '\ufeff{"a":1}', `{"a":1,"queueStatus":${COUNTS}}`],
  ])("gains the counts: %s", async (_, body, expected) => {
    expect(await (await answerTo(body)).text()).toBe(expected);
  });

  it.each([
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/vnd.api+json",
    "application/hal+json;v=1",
  ])("is one by its type: %s", async (type) => {
    expect(await (await answerTo("{}", { headers: { "content-type": type } })).json()).toHaveProperty("queueStatus");
  });

  it("loses what is no longer true of it, and keeps the rest", async () => {
    const digest = `sha-256=:${createHash("sha256").update("{}").digest("base64")}:`;
    const stale = { etag: '"1"', "content-length": "2", "content-digest": digest, digest: "x" };
    const headers = { ...JSON_TYPE, ...stale, "set-cookie": "a=b", "x-own": "1", link: "</a>" };
    const response = await answerTo("{}", { status: 201, headers });
    expect(response.status).toBe(201);
    for (const name of Object.keys(stale)) expect([name, response.headers.get(name)]).toEqual([name, null]);
    expect(response.headers.get("set-cookie")).toBe("a=b");
    expect([response.headers.get("x-own"), response.headers.get("link")]).toEqual(["1", "</a>"]);
  });

  it("comes whole in pieces, and in letters that pieces cut", async () => {
    const bytes = new TextEncoder().encode('{"a":"äöü€"}');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    expect(await (await answerTo(body)).text()).toBe(`{"a":"äöü€","queueStatus":${COUNTS}}`);
  });

  it("gains them under the name that the application says, or not at all", async () => {
    expect(await (await answerTo("{}", {}, { queueStatusField: '_wor"k' })).text()).toBe(`{"_wor\\"k":${COUNTS}}`);
    const bare = await answerTo(
      '{"a":1}',
      { status: 202, headers: { ...JSON_TYPE, etag: '"1"' } },
      { queueStatusField: false },
    );
    expect([bare.status, await bare.text(), bare.headers.get("etag")]).toEqual([200, '{"a":1}', '"1"']);
  });
});

describe("any other body is untouched", () => {
  it.each([
    ["a field of that name", '{"queueStatus":"mine"}'],
    ["a list", '[{"a":1}]'],
    ["a text", '"a"'],
    ["a number", "5"],
    ["null", "null"],
    ["nothing", ""],
    ["no JSON", '{"a":1'],
    ["several values", '{"a":1}\n{"b":2}'],
    ["more than a megabyte", JSON.stringify({ a: "x".repeat(1_048_576) })],
  ])("%s", async (_, body) => {
    const response = await answerTo(body, { headers: { ...JSON_TYPE, etag: '"1"' } });
    expect([response.status, response.headers.get("etag")]).toEqual([200, '"1"']);
    expect(await response.text()).toBe(body);
  });

  it.each([
    ["plain text", { "content-type": "text/plain" }],
    ["HTML", { "content-type": "text/html" }],
    ["lines of JSON", { "content-type": "application/x-ndjson" }],
    ["a sequence of JSON", { "content-type": "application/json-seq" }],
    ["a compressed one", { ...JSON_TYPE, "content-encoding": "gzip" }],
    ["one without a type", {}],
  ])("by its type: %s", async (_, headers: Record<string, string>) => {
    expect(await (await answerTo(new TextEncoder().encode("{}"), { headers })).text()).toBe("{}");
  });

  it("bytes that are no UTF-8", async () => {
    const body = Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d);
    expect(new Uint8Array(await (await answerTo(body)).arrayBuffer())).toEqual(body);
  });

  it("a part, and no body at all", async () => {
    expect(await (await answerTo("{}", { status: 206, headers: JSON_TYPE })).text()).toBe("{}");
    const empty = await answerTo(null, { status: 204, headers: JSON_TYPE });
    expect([empty.status, empty.body]).toEqual([204, null]);
  });

  it("a stream that is not there within a second: it goes on from its beginning", async () => {
    let push: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = controller;
        controller.enqueue(new TextEncoder().encode('{"a":'));
      },
    });
    const bench = makeBench({ handler: () => new Response(body, { headers: JSON_TYPE }) });
    const waiting = await held(bench.post({ prefer: "wait=5" }));
    expect(waiting.isHeld()).toBe(true);
    await bench.clock.advance(1_000);
    const response = await waiting.response;
    const text = response.text();
    await settle();
    push?.enqueue(new TextEncoder().encode("1}"));
    push?.close();
    expect([await text, bench.clock.pending]).toEqual(['{"a":1}', 0]);
  });

  it("a stream that breaks: its reader sees the error, and a stream that is not read to its end is cancelled", async () => {
    const breaking = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("broken"));
      },
    });
    await expect((await answerTo(breaking)).text()).rejects.toThrow("broken");
    const reasons: unknown[] = [];
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      cancel: (reason) => void reasons.push(reason),
    });
    const reader = (await answerTo(endless)).body?.getReader();
    for (let i = 0; i < 40; i++) expect((await reader?.read())?.value?.length).toBe(65_536);
    await reader?.cancel("enough");
    expect(reasons).toHaveLength(1);
  });
});
