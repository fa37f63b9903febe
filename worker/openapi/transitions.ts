import * as z from "zod/mini";
import { health, tenant } from "../schemas/answers/service.js";
import { outcomes, output } from "../schemas/answers/transitions.js";
import { batchBody, listBody, runBody, watchBody } from "../schemas/bodies.js";
import type { Operation } from "./operation.js";

const NAMED = "The client of the library calls it: its inputs belong to a version of the library.";

/** The routes that run a transition by its name, and those that say how the Worker is. */
export const TRANSITIONS: readonly Operation[] = [
  {
    method: "POST",
    path: "/v1/run/{machine}/{transition}",
    operationId: "runTransition",
    summary: "Run a transition",
    description: NAMED,
    body: { schema: runBody, example: { id: "counter-1", input: {} } },
    traces: true,
    answer: { description: "What the transition returned.", schema: output },
    problems: [404, 501],
  },
  {
    method: "POST",
    path: "/v1/watch/{machine}/{transition}",
    operationId: "watchTransition",
    summary: "Wait until a transition's output is ready",
    description: NAMED,
    body: { schema: watchBody, example: { id: "document-1", input: {}, timeoutMs: 20_000 } },
    answer: { description: "What the transition returned, or null when the time is over.", schema: output },
    problems: [404],
  },
  {
    method: "POST",
    path: "/v1/batch",
    operationId: "runBatch",
    summary: "Run several transitions",
    description: `${NAMED} Each operation has its own outcome; the answer holds about 4 MB.`,
    body: { schema: batchBody, example: { operations: [{ transition: "kv.get", id: "counter-1", input: {} }] } },
    traces: true,
    answer: { description: "The outcome of each operation, in their order.", schema: outcomes },
  },
  {
    method: "POST",
    path: "/v1/list/{machine}",
    operationId: "listRecords",
    summary: "Read a page of the index",
    description: NAMED,
    body: { schema: listBody, example: { lists: [0], order: "oldest", olderThanMs: 0, limit: 100 } },
    answer: { description: "The page.", schema: output },
    problems: [404, 501],
  },
  ...(["group", "request"] as const).map(
    (kind): Operation => ({
      method: "POST",
      path: `/v1/${kind}s/{id}/reindex`,
      operationId: kind === "group" ? "reindexGroup" : "reindexRequest",
      summary: `Have a ${kind} tell the index again`,
      description: "For one that a list lacks, or shows wrongly.",
      answer: { description: "The index has it, or soon will." },
      problems: [404, 501],
    }),
  ),
  {
    method: "GET",
    path: "/v1/tenant",
    operationId: "getTenant",
    summary: "Ask whose data the token opens",
    answer: { description: "The tenant; null for a token of COORDINATOR_TOKEN.", schema: tenant },
  },
  {
    method: "GET",
    path: "/health",
    operationId: "getHealth",
    summary: "Ask whether the Worker is configured",
    description: "Touches no storage.",
    answer: { description: "The version, and which variables are missing or malformed.", schema: health },
    isOpen: true,
  },
  {
    method: "GET",
    path: "/metrics",
    operationId: "getMetrics",
    summary: "Read gauges in Prometheus' text format",
    description:
      "Of the token's tenant: open groups, owed deliveries, the oldest open group. As the index has them, some seconds late. " +
      "One call of the index with bounded work.",
    answer: { description: "The gauges, in version 0.0.4 of the format.", mediaType: "text/plain" },
  },
  {
    method: "GET",
    path: "/openapi.json",
    operationId: "getDescription",
    summary: "Read this description",
    answer: { description: "An OpenAPI document.", schema: z.looseObject({ openapi: z.string() }) },
    isOpen: true,
  },
];
