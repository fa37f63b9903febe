import { expect, it } from "vitest";
import { HttpCoordinator } from "../../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { Coordinator } from "../../../src/coordinator.js";
import {
  CoalesceTracker,
  CompletionTracker,
  DedupeWindow,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../../src/index.js";
import { nameOf } from "./operation.js";
import { OPERATIONS } from "./operations.js";

/** What sends nothing by itself, or is what all the others send by. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  // Page by page, as `results` does.
  "CompletionTracker.allResults",
  // One watch after the other, as `newer` is.
  "CompletionTracker.progress",
  "RequestWaitTracker.progress",
  // A watch for the end, as `wait` is.
  "CompletionTracker.signal",
  // The same calls as those of groups, which are tried: `GroupOperations` and `GroupReader` make both.
  "RequestWaitTracker.retry",
  "RequestWaitTracker.extend",
  "RequestWaitTracker.redeliver",
  "RequestWaitTracker.results",
  "CompletionTracker.close",
  "RequestWaitTracker.close",
  "Coordinator.onWake",
  "Coordinator.run",
  "Coordinator.watch",
  "Coordinator.clockSkewMs",
]);

function methodsOf(name: string, { prototype }: { readonly prototype: object }): string[] {
  return Object.getOwnPropertyNames(prototype)
    .filter((method) => method !== "constructor")
    .map((method) => `${name}.${method}`);
}

it("every public operation is tried under every fault", () => {
  const methods = new Set([
    ...methodsOf("CompletionTracker", CompletionTracker),
    ...methodsOf("RequestWaitTracker", RequestWaitTracker),
    ...methodsOf("CoalesceTracker", CoalesceTracker),
    ...methodsOf("DedupeWindow", DedupeWindow),
    ...methodsOf("RequestStatsAccumulator", RequestStatsAccumulator),
    ...[Coordinator, UpstashCoordinator, HttpCoordinator].flatMap((backend) => methodsOf("Coordinator", backend)),
  ]);
  const tried = new Set(OPERATIONS.map(({ method }) => method));
  expect([...methods].filter((method) => !ELSEWHERE.has(method)).sort()).toEqual([...tried].sort());
  expect([...ELSEWHERE].filter((method) => !methods.has(method))).toEqual([]);
});

it("every use of an operation has a name of its own", () => {
  expect(new Set(OPERATIONS.map(nameOf)).size).toBe(OPERATIONS.length);
});
