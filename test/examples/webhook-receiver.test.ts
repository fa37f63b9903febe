import { createHmac } from "node:crypto";
import { serve } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type PaymentEvent, receiver } from "../../examples/webhook-receiver/app.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { MemoryCoordinator } from "../../src/index.js";
import { type InstalledExample, installedExample } from "../support/packed.js";
import type {} from "../support/provided.js";
import { typeErrors } from "./example.js";
import { startServer } from "./node-example.js";

const SECRET = "whsec_of_this_example";
const EVENT = { id: "evt_1", type: "payment.succeeded", order: "A-17" };

function headersOf(body: string, { secret = SECRET, atMs = Date.now() } = {}): Record<string, string> {
  const t = Math.floor(atMs / 1000);
  const v1 = createHmac("sha256", secret).update(`${t}.${body}`).digest("hex");
  return { "stripe-signature": `t=${t},v1=${v1}`, "content-type": "application/json" };
}

const backends = {
  memory: () => new MemoryCoordinator(),
  upstash: () =>
    new UpstashCoordinator({
      url: inject("restUrl"),
      token: inject("restToken"),
      keyPrefix: `webhook-${crypto.randomUUID()}:`,
    }),
};

describe.each(Object.entries(backends))("the receiver, on %s", (_, makeCoordinator) => {
  function makeReceiver(fulfil: (event: PaymentEvent) => Promise<void> = async () => {}) {
    const fulfilled: string[] = [];
    const app = receiver({
      coordinator: makeCoordinator(),
      secret: SECRET,
      fulfil: async (event) => {
        fulfilled.push(event.order);
        await fulfil(event);
      },
    });
    const deliver = async (event: object = EVENT, headers?: Record<string, string>): Promise<Response> => {
      const body = JSON.stringify(event);
      return app.request("/webhooks", { method: "POST", body, headers: headers ?? headersOf(body) });
    };
    return { deliver, fulfilled };
  }

  it("acts once for ten redeliveries, also when they differ in a counter", async () => {
    const { deliver, fulfilled } = makeReceiver();
    await deliver();
    for (let pending = 0; pending < 10; pending++) {
      const response = await deliver({ ...EVENT, pending_webhooks: pending });
      expect([response.status, response.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
      expect(await response.json()).toEqual({ received: "evt_1" });
    }
    expect(fulfilled).toEqual(["A-17"]);
  });

  it("acts once for ten deliveries at the same time: the sender delivers the refused ones again", async () => {
    const { deliver, fulfilled } = makeReceiver();
    const statuses = (await Promise.all(Array.from({ length: 10 }, () => deliver()))).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 200 && status !== 409)).toEqual([]);
    expect((await deliver()).status).toBe(200);
    expect(fulfilled).toEqual(["A-17"]);
  });

  it("acts again when the first delivery failed", async () => {
    let isBroken = true;
    const { deliver, fulfilled } = makeReceiver(async () => {
      if (isBroken) throw new Error("the database is away");
    });
    expect((await deliver()).status).toBe(500);
    isBroken = false;
    expect((await deliver()).status).toBe(200);
    expect((await deliver()).status).toBe(200);
    expect(fulfilled).toEqual(["A-17", "A-17"]);
  });

  it("takes no key for a message that is not signed, or too old", async () => {
    const { deliver, fulfilled } = makeReceiver();
    const body = JSON.stringify(EVENT);
    for (const headers of [{}, headersOf(body, { secret: "other" }), headersOf(body, { atMs: Date.now() - 301_000 })]) {
      expect((await deliver(EVENT, headers)).status).toBe(401);
    }
    expect((await deliver()).headers.get("idempotency-replayed")).toBeNull();
    expect(fulfilled).toEqual(["A-17"]);
  });
});

it("acts once behind a real server, on @hono/node-server", async () => {
  const fulfilled: string[] = [];
  const fulfil = async ({ order }: PaymentEvent) => void fulfilled.push(order);
  const app = receiver({ coordinator: new MemoryCoordinator(), secret: SECRET, fulfil });
  const body = JSON.stringify(EVENT);
  const port = await new Promise<number>((resolve) => {
    const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, (info) => resolve(info.port));
    afterAll(() => server.close());
  });
  for (const isReplay of [null, "true"]) {
    const response = await fetch(`http://127.0.0.1:${port}/webhooks`, {
      method: "POST",
      body,
      headers: headersOf(body),
    });
    expect([response.status, response.headers.get("idempotency-replayed")]).toEqual([200, isReplay]);
    expect(await response.json()).toEqual({ received: "evt_1" });
  }
  expect(fulfilled).toEqual(["A-17"]);
});

describe("as it is installed", () => {
  let example: InstalledExample;
  beforeAll(async () => {
    example = await installedExample("webhook-receiver");
  });
  afterAll(() => example?.remove());

  it("compiles against the packed package", async () => {
    expect(await typeErrors(example.folder)).toEqual([]);
  });

  it("starts, and acts once", async () => {
    const server = await startServer(example.folder, "start", { WEBHOOK_SECRET: SECRET });
    try {
      const body = JSON.stringify(EVENT);
      const deliver = () => fetch(`${server.url}/webhooks`, { method: "POST", body, headers: headersOf(body) });
      expect([(await deliver()).status, (await deliver()).headers.get("idempotency-replayed")]).toEqual([200, "true"]);
    } finally {
      await server.kill();
    }
  });
});
