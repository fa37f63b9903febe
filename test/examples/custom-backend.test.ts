import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { AckResult, GroupStatus } from "../../src/index.js";
import { type InstalledExample, installedExample } from "../support/packed.js";
import { type DevServer, eventually, runTests, startDev, typeErrors } from "./example.js";

const CHECKS = ["payment", "stock", "address"];

let example: InstalledExample;
let server: DevServer;

beforeAll(async () => {
  example = await installedExample("custom-backend");
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.error(server?.output());
});
afterAll(async () => {
  await server?.stop();
  await example?.remove();
});

async function call<T>(method: string, path: string): Promise<T> {
  const response = await fetch(`${server.url}${path}`, { method });
  expect(response.status, `${method} ${path}`).toBe(200);
  return (await response.json()) as T;
}

const place = (order: string) => call<GroupStatus>("PUT", `/orders/${order}`);
const pass = (order: string, check: string) => call<AckResult>("POST", `/orders/${order}/${check}/passed`);
const drain = () => fetch(`${server.url}/cdn-cgi/handler/scheduled`);

/** What the handler has done for an order; reading it touches neither the order's record nor its timer. */
async function outcomesOf(order: string): Promise<string[]> {
  const outcomes = await call<{ orderId: string; outcome: string }[]>("GET", "/outcomes");
  return outcomes.filter(({ orderId }) => orderId === order).map(({ outcome }) => outcome);
}

const settled = (order: string): Promise<string[]> =>
  eventually(async () => {
    const outcomes = await outcomesOf(order);
    return outcomes.length > 0 ? outcomes : undefined;
  });

const delivered = (order: string): Promise<GroupStatus["delivery"]> =>
  eventually(async () => {
    const { delivery } = await call<GroupStatus>("GET", `/orders/${order}`);
    return delivery.state === "delivered" ? delivery : undefined;
  });

describe.concurrent("with time enough", () => {
  beforeAll(async () => {
    server = await startDev(example.folder);
  });

  it("ships an order once, with repeated checks and with checks that come before the order", async () => {
    expect((await pass("order-1", "payment")).verdict).toBe("early");
    await Promise.all([place("order-1"), place("order-1")]);
    const copies = await Promise.all(CHECKS.flatMap((check) => [1, 2, 3].map(() => pass("order-1", check))));
    const verdicts = copies.map(({ verdict }) => verdict);
    expect(verdicts.filter((verdict) => verdict === "accepted")).toHaveLength(2);
    expect(copies.filter(({ ended }) => ended)).toHaveLength(1);
    expect(await settled("order-1")).toEqual(["shipped"]);
    expect(await place("order-1")).toMatchObject({ state: "completed", ok: true, succeeded: 3 });
    await drain();
    const first = await delivered("order-1");
    await call("POST", "/orders/order-1/redeliver");
    const attempts = () => server.output().match(new RegExp(`deliveryId: '${first.deliveryId}'`, "g"))?.length;
    await eventually(async () => (attempts() === 2 ? true : undefined));
    expect((await delivered("order-1")).deliveryId).toBe(first.deliveryId);
    expect(await outcomesOf("order-1")).toEqual(["shipped"]);
  });

  it("refuses an order of which a check has failed", async () => {
    await place("order-2");
    expect(await call("POST", "/orders/order-2/stock/failed")).toMatchObject({ verdict: "accepted", remaining: 2 });
    expect(await pass("order-2", "colour")).toMatchObject({ verdict: "unknown" });
    for (const check of ["payment", "address"]) await pass("order-2", check);
    expect(await settled("order-2")).toEqual(["refused"]);
    expect(await call("GET", "/orders/order-2")).toMatchObject({
      state: "completed",
      ok: false,
      errors: [{ taskId: "stock", message: "the check failed" }],
    });
  });

  it("type-checks against the packed package", async () => {
    expect(await typeErrors(example.folder)).toEqual([]);
  });

  // test/conformance/d1.workers.test.ts runs every case on the same sources: here the example's own command is what is tested.
  it("passes conformance cases by its own tests", async ({ signal }) => {
    const { code, output } = await runTests(example.folder, "deliver", signal);
    expect(code, output).toBe(0);
    expect(output).toMatch(/Tests\s+\d\d passed \| \d{3} skipped/);
  });
});

describe("after a restart, with a deadline that is too short", () => {
  beforeAll(async () => {
    await server.stop();
    server = await startDev(example.folder, "--var", "DEADLINE_SEC:1");
  });

  it("knows the orders of before", async () => {
    expect(await place("order-1")).toMatchObject({ state: "completed", ok: true });
    expect(await outcomesOf("order-1")).toEqual(["shipped"]);
  });

  it("lets an order expire by the cron trigger, once, and turns late checks away", async () => {
    await place("order-3");
    await pass("order-3", "payment");
    await eventually(async () => {
      await Promise.all([drain(), drain()]);
      return (await outcomesOf("order-3")).length > 0 ? true : undefined;
    });
    expect(await pass("order-3", "stock")).toMatchObject({ verdict: "late", state: "timed_out" });
    await drain();
    expect(await outcomesOf("order-3")).toEqual(["expired"]);
  });
});

it("migrates to the tables that the backend names", async () => {
  const read = (path: string) => readFile(join(example.folder, path), "utf8");
  const statements = (text: string) => text.replaceAll(/--.*$/gm, "").replaceAll(/\s+/g, " ");
  const schema = /SCHEMA = \[(.*?)\n\];/s.exec(await read("src/d1-backend.ts"))?.[1] ?? "";
  const inCode = [...schema.matchAll(/[`"](.*?)[`"],/gs)].map(([, statement = ""]) => statements(statement).trim());
  const migration = statements(await read("migrations/0001_records.sql"));
  const inMigration = migration.split(";").map((statement) => statement.trim());
  expect(inCode).toHaveLength(3);
  expect(inMigration).toEqual([...inCode, ""]);
});
