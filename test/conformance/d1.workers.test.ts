import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { d1Backend, SCHEMA } from "../../examples/custom-backend/src/d1-backend.js";
import { drivenHarness } from "../support/driven-harness.js";
import { runConformanceCases } from "./run-cases.js";

beforeAll(() => env.DB.batch(SCHEMA.map((statement) => env.DB.prepare(statement))));
afterEach(() => env.DB.prepare("DELETE FROM records").run());
afterAll(() => reset());

/** A database that takes every statement, and answers none. */
const never = () => new Promise<never>(() => {});
const statement = { bind: () => statement, first: never, all: never, run: never };
const silent = { prepare: () => statement } as unknown as D1Database;

runConformanceCases("D1", () => ({
  ...drivenHarness(
    (aheadMs) => d1Backend(env.DB, { now: () => Date.now() + aheadMs(), onEvent: () => {} }),
    () => d1Backend(silent),
  ),
  lacks: { large_records: "a row of D1 holds two million bytes", index: "the example defines no list" },
}));

const countRows = async (): Promise<number | null> => env.DB.prepare("SELECT count(*) AS n FROM records").first("n");

/** The registration of a group of one task without an id. */
const GROUP = { op: "o", fingerprint: "s", kind: "counted" as const, total: 1, lists: [], deliveryId: "d" };

it("decides by the database's clock, and leaves no row behind", async () => {
  const coordinator = d1Backend(env.DB);
  const input = { ...GROUP, timeoutMs: 60_000, ttlMs: 1_000 };
  const { view } = await coordinator.run("completion.register", "g", input);
  expect(Math.abs((view?.generation ?? 0) - Date.now())).toBeLessThan(10_000);
  expect(await countRows()).toBe(1);
  const report = await d1Backend(env.DB, { now: () => Date.now() + 3_600_000 }).drain();
  expect(report).toEqual({ woken: 1, left: false, nextDueAtMs: undefined });
  expect(await countRows()).toBe(0);
});

it("row 45: lists a record later that a drain could not wake", async () => {
  const coordinator = d1Backend(env.DB);
  const input = { ...GROUP, timeoutMs: 1_000, ttlMs: 60_000 };
  await coordinator.run("completion.register", "g", input);
  const add = "INSERT INTO records (name, version, data, wake_at) VALUES (?, '1', 'of another version', 1)";
  await env.DB.batch(Array.from({ length: 5 }, (_, i) => env.DB.prepare(add).bind(`later:${i}`)));
  const drainer = () => d1Backend(env.DB, { now: () => Date.now() + 2_000 });
  expect(await drainer().drain({ limit: 1 })).toMatchObject({ woken: 1 });
  const due = env.DB.prepare("SELECT count(*) AS n FROM records WHERE wake_at <= ?").bind(Date.now() + 2_000);
  expect(await due.first("n")).toBe(0);
  expect(await countRows()).toBe(6);
});

it("refuses a record that no row can hold, and keeps what was there", async () => {
  const coordinator = d1Backend(env.DB, { maxRecordBytes: 1_000 });
  await coordinator.rpush("list", "x".repeat(500));
  await expect(coordinator.rpush("list", "x".repeat(500))).rejects.toMatchObject({
    code: "limit_exceeded",
    retryable: false,
    applied: "no",
  });
  expect(await coordinator.lrange("list")).toHaveLength(1);
});
