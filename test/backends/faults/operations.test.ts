import { expect, it } from "vitest";
import { HttpCoordinator } from "../../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import { Coordinator } from "../../../src/coordinator.js";
import { completion } from "../../../src/core/group/completion.js";
import { request } from "../../../src/core/request.js";
import {
  CoalesceTracker,
  CompletionTracker,
  DedupeWindow,
  MemoryCoordinator,
  Mutex,
  RateLimiter,
  RequestStatsAccumulator,
  RequestWaitTracker,
  Semaphore,
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
  // The calls of groups, which are tried: see "requests make the calls of groups".
  "RequestWaitTracker.retry",
  "RequestWaitTracker.extend",
  "RequestWaitTracker.redeliver",
  "RequestWaitTracker.results",
  // What the lists of the trackers are read by.
  "Coordinator.list",
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
    // A mutex has the methods of a semaphore.
    ...[Semaphore, Mutex].flatMap((permits) => methodsOf("Semaphore", permits)),
    ...methodsOf("RateLimiter", RateLimiter),
    ...[Coordinator, UpstashCoordinator, HttpCoordinator].flatMap((backend) => methodsOf("Coordinator", backend)),
  ]);
  const tried = new Set(OPERATIONS.map(({ method }) => method));
  expect([...methods].filter((method) => !ELSEWHERE.has(method)).sort()).toEqual([...tried].sort());
  expect([...ELSEWHERE].filter((method) => !methods.has(method))).toEqual([]);
});

/** The calls of one tracker: each transition without its machine, with the fields of its input and the options of the call. */
async function callsOf(machine: "completion" | "request", use: (coordinator: Coordinator) => Promise<unknown>[]) {
  const calls: unknown[] = [];
  class Recorder extends MemoryCoordinator {
    override run: MemoryCoordinator["run"] = (transition, id, input, options) => {
      expect(transition.startsWith(`${machine}.`)).toBe(true);
      calls.push([transition.slice(machine.length), Object.keys(input as object), Object.keys(options ?? {})]);
      return super.run(transition, id, input, options);
    };
  }
  await Promise.all(use(new Recorder()));
  return calls;
}

it("requests make the calls of groups", async () => {
  const ofGroups = await callsOf("completion", (coordinator) => {
    const groups = new CompletionTracker(coordinator);
    return [groups.retry("x", "a"), groups.extend("x", { timeoutSec: 1 }), groups.redeliver("x"), groups.results("x")];
  });
  const ofRequests = await callsOf("request", (coordinator) => {
    const requests = new RequestWaitTracker(coordinator, { stages: ["s"] });
    return [
      requests.retry("x", "s", "a"),
      requests.extend("x", { timeoutSec: 1 }),
      requests.redeliver("x"),
      requests.results("x"),
    ];
  });
  expect(ofRequests).toEqual(ofGroups);
  expect(ofGroups).toHaveLength(4);
  expect(request).toBe(completion);
});

it("every use of an operation has a name of its own", () => {
  expect(new Set(OPERATIONS.map(nameOf)).size).toBe(OPERATIONS.length);
});
