import type { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import { placeOfList } from "../../src/core/group/listing.js";
import { isExpected } from "../../src/http/problem.js";
import { type IndexCounts, type ListCount, MAX_COUNTED } from "../../src/runtime/listing.js";
import { type App, type AppContext, route } from "../context.js";
import { EXPOSITION_TYPE, exposition, type Gauge } from "../exposition.js";
import { VERSION } from "../version.js";

/** The parts of the Worker that the route calls. */
export interface MetricsHost {
  /** Returns the coordinator of a tenant. */
  whole(c: AppContext, keyPrefix: string): DurableObjectCoordinator;
  /** Returns the variables that are missing or malformed. */
  misconfigured(c: AppContext): Promise<readonly string[]>;
}

/**
 * `GET /metrics`: the gauges of the token's tenant, in Prometheus' text format. One call of the index object, with bounded work.
 *
 * It has no counters. Each isolate would count alone, and a scrape reaches one of them: the sums would jump.
 */
export function metricsRoutes(app: App, host: MetricsHost): void {
  route(app, "/metrics", {
    GET: async (c) => {
      const gauges = [...ofWorker(await host.misconfigured(c)), ...ofIndex(await countsOf(c, host))];
      return c.body(exposition(gauges), 200, { "content-type": EXPOSITION_TYPE });
    },
  });
}

/** Returns `undefined` when the index does not answer: the Worker's own gauges are still of use. */
async function countsOf(c: AppContext, host: MetricsHost): Promise<IndexCounts | undefined> {
  try {
    return await host.whole(c, c.var.keyPrefix).indexCounts({ signal: c.req.raw.signal });
  } catch (error) {
    if (!isExpected(error)) c.var.report(error);
    return undefined;
  }
}

function ofWorker(misconfigured: readonly string[]): Gauge[] {
  return [
    {
      name: "edge_coordinator_build_info",
      help: "The version of the Worker. Always 1.",
      samples: [{ labels: { version: VERSION }, value: 1 }],
    },
    {
      name: "edge_coordinator_misconfigured",
      help: "1 for each variable of the Worker that is missing or malformed, as in /health.",
      samples: misconfigured.map((variable) => ({ labels: { variable }, value: 1 })),
    },
  ];
}

function ofIndex(counts: IndexCounts | undefined): Gauge[] {
  const up = { name: "edge_coordinator_index_up", help: "Whether the index answered. 0: its gauges are missing." };
  if (counts === undefined) return [{ ...up, samples: [{ value: 0 }] }];
  const { lists, asOfMs } = counts;
  const isOpen = ({ list }: ListCount): boolean => placeOfList(list).state === "open";
  return [
    { ...up, samples: [{ value: 1 }] },
    {
      name: "edge_coordinator_index_as_of_timestamp_seconds",
      help: "The instant that the gauges of the index describe.",
      samples: [{ value: asOfMs / 1000 }],
    },
    {
      name: "edge_coordinator_open",
      help: `Open groups and requests. ${BOUND}`,
      samples: KINDS.map(([kind, machine]) => ({
        labels: { kind },
        value: sumOf(lists, (each) => each.machine === machine && isOpen(each)),
      })),
    },
    {
      name: "edge_coordinator_oldest_open_timestamp_seconds",
      help: "When the oldest open group or request was registered. Absent without one.",
      samples: KINDS.flatMap(([kind, machine]) => {
        const open = lists.filter((each) => each.machine === machine && isOpen(each));
        const oldestAtMs = Math.min(...open.map((each) => each.oldestAtMs));
        return open.length === 0 ? [] : [{ labels: { kind }, value: oldestAtMs / 1000 }];
      }),
    },
    {
      name: "edge_coordinator_deliveries_owed",
      help: `Groups and requests that owe a delivery, by the state of the delivery. ${BOUND}`,
      samples: KINDS.flatMap(([kind, machine]) =>
        OWED.map((delivery) => ({
          labels: { kind, delivery },
          value: sumOf(lists, (each) => each.machine === machine && placeOfList(each.list).delivery === delivery),
        })),
      ),
    },
  ];
}

const KINDS = [
  ["group", "completion"],
  ["request", "request"],
] as const;
const OWED = ["pending", "unhandled", "dead"] as const;
const BOUND = `Counts up to ${MAX_COUNTED} of each state.`;

function sumOf(lists: readonly ListCount[], isWanted: (list: ListCount) => boolean): number {
  return lists.filter(isWanted).reduce((sum, { count }) => sum + count, 0);
}
