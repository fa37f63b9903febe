import { getEventListeners } from "node:events";
import type { RequestListener } from "node:http";
import { inspect } from "node:util";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { verify, type WebhookFetch, type WebhookSenderOptions, webhookSender } from "../../src/webhook/index.js";
import { expectSoon } from "../support/expect-soon.js";
import { type Receiver, startReceiver } from "./receiver.js";
import { NEW_SECRET, OLD_SECRET } from "./vectors.js";

const open: Receiver[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((receiver) => receiver.close()));
});

async function receive(answer: RequestListener): Promise<Receiver> {
  const receiver = await startReceiver(answer);
  open.push(receiver);
  return receiver;
}

const senderTo = (host: string, options: Partial<WebhookSenderOptions> = {}) =>
  webhookSender({ secrets: NEW_SECRET, allowedHosts: host, allowHttp: true, ...options });

const message = { id: "msg_1", body: '{"type":"group.completed"}' };

async function failureOf(sending: Promise<void>): Promise<unknown> {
  return sending.then(
    () => undefined,
    (fault: unknown) => fault,
  );
}

/** What the sender throws when the receiver answers so. */
async function failureFor(
  status: number,
  headers: Record<string, string> = {},
  options: Partial<WebhookSenderOptions> = {},
) {
  const { host, url } = await receive((_, response) => response.writeHead(status, headers).end("CANARY-ANSWER"));
  return failureOf(senderTo(host, options).send({ ...message, url }));
}

test("a sender imports each secret once, and not at every attempt", async () => {
  const receiver = await receive((_, response) => response.writeHead(204).end());
  const sender = senderTo(receiver.host, { secrets: [NEW_SECRET, OLD_SECRET] });
  const importKey = vi.spyOn(crypto.subtle, "importKey");
  try {
    for (let attempt = 0; attempt < 3; attempt++) await sender.send({ ...message, url: receiver.url });
    expect(importKey).toHaveBeenCalledTimes(2);
  } finally {
    importKey.mockRestore();
  }
  const signatures = receiver.received.map(({ headers }) => headers["webhook-signature"]);
  expect(signatures).toEqual(Array(3).fill(expect.stringMatching(/^v1,\S+ v1,\S+$/)));
});

describe("an attempt", () => {
  test("posts the body with the headers of Standard Webhooks", async () => {
    const receiver = await receive((_, response) => response.writeHead(204).end());
    await senderTo(receiver.host).send({ ...message, url: `${receiver.url}?a=b` });
    expect(receiver.received).toHaveLength(1);
    const [received] = receiver.received;
    expect(received).toMatchObject({ method: "POST", path: "/hook?a=b", body: message.body });
    expect(received?.headers).toMatchObject({
      "content-type": "application/json",
      "user-agent": "edge-coordinator",
      "webhook-id": "msg_1",
      "webhook-timestamp": expect.stringMatching(/^\d{10}$/),
      "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
  });

  test("is accepted by the reference library and by verify, Unicode included", async () => {
    const body = '{"name":"Zoë \\u0000 😀 日本"}';
    const receiver = await receive((_, response) => response.writeHead(200).end("ok"));
    await senderTo(receiver.host).send({ id: "msg_1", body, url: receiver.url });
    const { headers, body: text } = receiver.received[0] ?? expect.fail("nothing came");
    expect(new Webhook(NEW_SECRET).verify(text, headers as Record<string, string>)).toEqual(JSON.parse(body));
    expect(await verify({ secrets: NEW_SECRET, headers, body: text })).toMatchObject({
      id: "msg_1",
      payload: JSON.parse(body),
    });
  });

  test("is signed with each live secret, so that a receiver may rotate at leisure", async () => {
    const receiver = await receive((_, response) => response.writeHead(200).end());
    await senderTo(receiver.host, { secrets: `${NEW_SECRET} ${OLD_SECRET}` }).send({ ...message, url: receiver.url });
    const { headers, body } = receiver.received[0] ?? expect.fail("nothing came");
    for (const secrets of [NEW_SECRET, OLD_SECRET]) {
      await expect(verify({ secrets, headers, body })).resolves.toMatchObject({ id: "msg_1" });
    }
  });

  test("carries its own instant, while the id stays", async () => {
    const receiver = await receive((_, response) => response.writeHead(200).end());
    let nowMs = 1_700_000_000_999;
    const sender = senderTo(receiver.host, { nowMs: () => nowMs });
    await sender.send({ ...message, url: receiver.url });
    nowMs += 60_000;
    await sender.send({ ...message, url: receiver.url });
    const [first, second] = receiver.received.map(({ headers }) => headers);
    expect([first?.["webhook-timestamp"], second?.["webhook-timestamp"]]).toEqual(["1700000000", "1700000060"]);
    expect(first?.["webhook-id"]).toBe(second?.["webhook-id"]);
    expect(first?.["webhook-signature"]).not.toBe(second?.["webhook-signature"]);
  });

  test.each([200, 201, 202, 204, 299])("succeeds with %i", async (status) => {
    expect(await failureFor(status)).toBeUndefined();
  });

  test("succeeds at a 2xx status without reading an endless body, and closes the connection", async () => {
    const closed = deferred();
    const { host, url } = await receive((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write("drip"), 5);
      response.on("close", () => {
        clearInterval(drip);
        closed.resolve();
      });
    });
    await senderTo(host).send({ ...message, url });
    await closed.promise;
  });

  test.each(["", "msg.1", "a b", "msg\r\nx: y", "ü"])("an id %j is refused before anything is sent", async (id) => {
    const receiver = await receive((_, response) => response.writeHead(200).end());
    const sending = senderTo(receiver.host).send({ ...message, id, url: receiver.url });
    await expect(sending).rejects.toMatchObject({ code: "invalid_input", retryable: false });
    expect(receiver.received).toHaveLength(0);
  });
});

describe("a redirect", () => {
  test.each([301, 302, 303, 307, 308])("%i is a failed attempt and is not followed", async (status) => {
    const elsewhere = await receive((_, response) => response.writeHead(200).end());
    const { host, url } = await receive((_, response) => response.writeHead(status, { location: elsewhere.url }).end());
    // Even when its target is on the list.
    const fault = await failureOf(senderTo(`${host},${elsewhere.host}`).send({ ...message, url }));
    expect(fault).toMatchObject({ code: "backend_rejected", retryable: true, applied: "no" });
    expect(String(fault)).toMatch(/redirect/);
    expect(String(fault)).not.toContain(elsewhere.host);
    expect(elsewhere.received).toHaveLength(0);
  });

  test.each(["http://169.254.169.254/", "//localhost/", "/again", "file:///etc/passwd"])(
    "to %s is not followed",
    async (location) => {
      const receiver = await receive((_, response) => response.writeHead(302, { location }).end());
      const fault = await failureOf(senderTo(receiver.host).send({ ...message, url: receiver.url }));
      expect(fault).toMatchObject({ code: "backend_rejected", retryable: true });
      expect(receiver.received).toHaveLength(1);
    },
  );

  test("as a browser shows it, without a status, is a failed attempt", async () => {
    const opaque = { ok: false, status: 0, headers: new Headers(), body: null } as Response;
    const fault = await failureOf(
      senderTo("h.example", { fetch: async () => opaque }).send({ ...message, url: "https://h.example" }),
    );
    expect(fault).toMatchObject({ code: "backend_rejected", retryable: true });
  });
});

describe("a refusal", () => {
  test.each([
    [429, "rate_limited", true, "no"],
    [500, "backend_unavailable", true, "unknown"],
    [502, "backend_unavailable", true, "unknown"],
    [503, "backend_unavailable", true, "unknown"],
    [504, "backend_unavailable", true, "unknown"],
    [408, "backend_unavailable", true, "unknown"],
    [425, "backend_unavailable", true, "no"],
    [400, "backend_rejected", true, "no"],
    [401, "backend_rejected", true, "no"],
    [404, "backend_rejected", true, "no"],
    [413, "backend_rejected", true, "no"],
    [410, "backend_rejected", false, "no"],
  ] as const)("%i is %s, retryable %s, applied %s", async (status, code, retryable, applied) => {
    const fault = await failureFor(status);
    expect(fault).toMatchObject({ name: "CoordinationError", code, retryable, applied, retryAfterMs: undefined });
    expect(String(fault)).toMatch(new RegExp(`webhook to 127\\.0\\.0\\.1:\\d+: answered ${status}$`));
  });

  const nowMs = Date.parse("Tue, 14 Nov 2023 22:13:20 GMT");
  test.each([
    ["0", 0],
    ["1", 1_000],
    ["120", 120_000],
    ["3600", 3_600_000],
    ["3601", 3_600_000],
    ["9".repeat(400), 3_600_000],
    ["Tue, 14 Nov 2023 22:14:20 GMT", 60_000],
    ["Tuesday, 14-Nov-23 22:14:20 GMT", 60_000],
    ["Wed, 15 Nov 2023 22:13:20 GMT", 3_600_000],
    ["Tue, 14 Nov 2023 22:13:19 GMT", 0],
    ["-5", undefined],
    ["1.5", undefined],
    ["1e3", undefined],
    ["0x10", undefined],
    ["soon", undefined],
    ["2023-11-14T22:14:20Z", undefined],
    ["Never, 99 Foo 2023 99:99:99 GMT", undefined],
    ["", undefined],
  ])("with Retry-After %j asks for %s ms", async (value, retryAfterMs) => {
    for (const status of [429, 503]) {
      const fault = await failureFor(status, { "retry-after": value }, { nowMs: () => nowMs });
      expect(fault).toMatchObject({ retryable: true, retryAfterMs });
    }
  });

  test("that no patience mends has no retryAfterMs", async () => {
    expect(await failureFor(410, { "retry-after": "5" })).toMatchObject({ retryable: false, retryAfterMs: undefined });
    expect(await failureFor(404, { "retry-after": "5" })).toMatchObject({ retryAfterMs: undefined });
  });
});

describe("no answer", () => {
  const lost = { name: "CoordinationError", code: "backend_unavailable", retryable: true, applied: "unknown" };

  test.each<[string, RequestListener]>([
    ["a receiver that is silent", () => undefined],
    [
      "a header that drips",
      (request, response) => {
        request.socket.write("HTTP/1.1 200 OK\r\n");
        const drip = setInterval(() => request.socket.write("x: y\r\n"), 10);
        response.on("close", () => clearInterval(drip));
      },
    ],
  ])("%s ends at the time limit", async (_, answer) => {
    const { host, url } = await receive(answer);
    await expectSoon(300, async () => {
      const startedAtMs = performance.now();
      const fault = await failureOf(senderTo(host, { timeoutMs: 200 }).send({ ...message, url }));
      const tookMs = performance.now() - startedAtMs;
      expect(fault).toMatchObject(lost);
      expect(String(fault)).toMatch(/no answer within 200 ms$/);
      expect(tookMs).toBeGreaterThanOrEqual(195);
      return tookMs;
    });
  });

  test("a fetch that ignores its signal ends at the time limit too, and the sender discards a late answer", async () => {
    const answered = deferred<Response>();
    const cancelled = deferred();
    const sending = senderTo("h.example", { timeoutMs: 20, fetch: () => answered.promise }).send({
      ...message,
      url: "https://h.example",
    });
    expect(await failureOf(sending)).toMatchObject(lost);
    answered.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })));
    await cancelled.promise;
  });

  test("the error for a port without a listener names its system code", async () => {
    const { host, url, close } = await startReceiver(() => undefined);
    await close();
    const fault = await failureOf(senderTo(host).send({ ...message, url }));
    expect(fault).toMatchObject(lost);
    expect(String(fault)).toMatch(/no answer \(ECONNREFUSED\)$/);
  });

  test.each<[string, RequestListener]>([
    ["a connection closed before the answer", (request) => request.socket.destroy()],
    ["a reset", (request) => request.socket.resetAndDestroy()],
    ["what is not HTTP", (request) => request.socket.end("CANARY-ANSWER\r\n\r\n")],
    ["half a header", (request) => request.socket.end("HTTP/1.1 200 OK\r\nx-cut")],
  ])("%s may have been applied", async (_, answer) => {
    const { host, url } = await receive(answer);
    expect(await failureOf(senderTo(host).send({ ...message, url }))).toMatchObject(lost);
  });

  test("a fetch that throws at once is no answer", async () => {
    const fetch: WebhookFetch = () => {
      throw new TypeError("CANARY");
    };
    const fault = await failureOf(senderTo("h.example", { fetch }).send({ ...message, url: "https://h.example" }));
    expect(fault).toMatchObject(lost);
  });
});

describe("an abort", () => {
  test("during the attempt rejects with the signal's reason and closes the connection", async () => {
    const arrived = deferred();
    const closed = deferred();
    const { host, url } = await receive((_, response) => {
      response.on("close", closed.resolve);
      arrived.resolve();
    });
    const controller = new AbortController();
    const sending = failureOf(senderTo(host).send({ ...message, url, signal: controller.signal }));
    await arrived.promise;
    const reason = new Error("the lease was lost");
    controller.abort(reason);
    expect(await sending).toBe(reason);
    await closed.promise;
  });

  test("before the attempt sends nothing", async () => {
    const receiver = await receive((_, response) => response.writeHead(200).end());
    const reason = { why: "too late" };
    const sending = senderTo(receiver.host).send({ ...message, url: receiver.url, signal: AbortSignal.abort(reason) });
    expect(await failureOf(sending)).toBe(reason);
    expect(receiver.received).toHaveLength(0);
  });

  test("after the answer changes nothing, and no listener is left", async () => {
    const { host, url } = await receive((_, response) => response.writeHead(200).end());
    const controller = new AbortController();
    await senderTo(host).send({ ...message, url, signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort();
  });
});

describe("options", () => {
  test.each([0, -1, 300_001, Number.NaN, Number.POSITIVE_INFINITY])("timeoutMs %s is refused", (timeoutMs) => {
    expect(() => senderTo("h.example", { timeoutMs })).toThrow(expect.objectContaining({ code: "invalid_input" }));
  });
});

test("no failed attempt tells the path, the query, the body, the answer or the secret, its causes included", async () => {
  const secret = `whsec_${btoa("CANARY-SECRET-CANARY-SECRET-CANARY")}`;
  const canaries = ["CANARY", secret.slice(6)];
  const answers: RequestListener[] = [
    ...[301, 400, 401, 404, 408, 410, 425, 429, 500, 503].map<RequestListener>((status) => (_, response) => {
      response.writeHead(status, { location: "https://CANARY.example/", "x-note": "CANARY" }).end("CANARY");
    }),
    (request) => request.socket.destroy(),
    (request) => request.socket.end("CANARY\r\n\r\n"),
    () => undefined,
  ];
  const faults = await Promise.all(
    answers.map(async (answer) => {
      const { host, url } = await receive(answer);
      const sender = senderTo(host, { secrets: secret, timeoutMs: 200 });
      return failureOf(sender.send({ id: "msg_CANARY", body: '"CANARY"', url: `${url}/CANARY?token=CANARY` }));
    }),
  );
  const talkative: WebhookFetch = async (url, init) => {
    throw Object.assign(new TypeError(`failed: ${url} ${init.body}`, { cause: new Error(url) }), {
      code: `${url}`,
      input: url,
    });
  };
  const sender = senderTo("h.example", { secrets: secret, fetch: talkative });
  faults.push(await failureOf(sender.send({ id: "msg_CANARY", body: "CANARY", url: "https://h.example/CANARY" })));
  faults.push(await failureOf(sender.send({ id: "CANARY.1", body: "CANARY", url: "https://h.example/CANARY" })));
  for (const fault of faults) {
    expect(fault).toMatchObject({ name: "CoordinationError" });
    const told = inspect(fault, { depth: 10, showHidden: true }) + JSON.stringify(fault) + String(fault);
    for (const canary of canaries) expect(told).not.toContain(canary);
  }
});

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value) => resolve(value) };
}
