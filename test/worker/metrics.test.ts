import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { CoordinationError } from "../../src/errors.js";
import type { IndexCounts } from "../../src/runtime/listing.js";
import type { AppEnv } from "../../worker/context.js";
import { exposition } from "../../worker/exposition.js";
import { metricsRoutes } from "../../worker/routes/metrics.js";
import { gaugesOf } from "./gauges.js";

/** Answers with the gauges of an index. */
async function scraped(counts: () => Promise<IndexCounts>, reported: unknown[] = []) {
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    c.set("report", (error) => void reported.push(error));
    await next();
  });
  metricsRoutes(app, { whole: () => ({ indexCounts: counts }) as never, misconfigured: async () => ["A", "B"] });
  return gaugesOf(await (await app.request("/metrics")).text());
}

describe("the gauges", () => {
  it("add the lists of an index up by what they owe and by whether they are open", async () => {
    const list = (machine: "completion" | "request", list: number, count: number, oldestAtMs: number) => ({
      machine,
      list,
      count,
      oldestAtMs,
    });
    const lists = [
      list("completion", 0, 1_000, 5_000),
      list("completion", 2, 3, 2_500),
      list("completion", 7, 4, 1),
      list("completion", 19, 5, 1),
      list("request", 13, 6, 1),
    ];
    expect(await scraped(async () => ({ lists, asOfMs: 9_500 }))).toEqual({
      'edge_coordinator_build_info{version="0.1.0"}': 1,
      'edge_coordinator_misconfigured{variable="A"}': 1,
      'edge_coordinator_misconfigured{variable="B"}': 1,
      edge_coordinator_index_up: 1,
      edge_coordinator_index_as_of_timestamp_seconds: 9.5,
      'edge_coordinator_open{kind="group"}': 1_003,
      'edge_coordinator_open{kind="request"}': 0,
      'edge_coordinator_oldest_open_timestamp_seconds{kind="group"}': 2.5,
      'edge_coordinator_deliveries_owed{delivery="pending",kind="group"}': 0,
      'edge_coordinator_deliveries_owed{delivery="unhandled",kind="group"}': 3,
      'edge_coordinator_deliveries_owed{delivery="dead",kind="group"}': 9,
      'edge_coordinator_deliveries_owed{delivery="pending",kind="request"}': 6,
      'edge_coordinator_deliveries_owed{delivery="unhandled",kind="request"}': 0,
      'edge_coordinator_deliveries_owed{delivery="dead",kind="request"}': 0,
    });
  });

  it.each([
    ["is off", new CoordinationError("unsupported", "the objects keep no index"), 0],
    ["fails", new TypeError("the object has no such method"), 1],
  ])("are those of the Worker alone where the index %s", async (_, error, reports) => {
    const reported: unknown[] = [];
    const gauges = await scraped(() => Promise.reject(error), reported);
    expect(Object.keys(gauges).filter((name) => !/build_info|misconfigured/.test(name))).toEqual([
      "edge_coordinator_index_up",
    ]);
    expect(gauges.edge_coordinator_index_up).toBe(0);
    expect(reported).toHaveLength(reports);
  });
});

describe("the text format", () => {
  it("holds a label of any text, and no gauge without a sample", () => {
    const label = 'a "quoted\\text",\nof two lines}';
    const text = exposition([
      { name: "first", help: "Has a \\ and\na line break.", samples: [{ labels: { label, more: "" }, value: 1.5 }] },
      { name: "second", help: "Has none.", samples: [] },
      { name: "third", help: "Has no label.", samples: [{ value: 1_790_000_000.123 }] },
    ]);
    expect(gaugesOf(text)).toEqual({
      [`first{label=${JSON.stringify(label)},more=""}`]: 1.5,
      third: 1_790_000_000.123,
    });
    expect(text).not.toContain("second");
  });
});
