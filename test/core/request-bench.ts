import type { TaskRef } from "../../src/core/group/record.js";
import type { InputOf, OutputOf } from "../../src/core/registry.js";
import { bench, listed, open } from "./bench.js";

export const TTL_MS = 600_000;

/** Makes every call one of its own. */
let fresh = 0;

/** The registration of a request, as its tracker makes it. */
export const requestOf = (op: string, ttlMs = TTL_MS): InputOf<"request.register"> =>
  open([], { op, ttlMs, request: true });

/** Settles a task of stage `s`, or of `more.stage`, with one processed item. */
export function done(op: string, id: string, more: Done = {}): InputOf<"request.ack"> {
  const { next, ...task } = more;
  const input: InputOf<"request.ack"> = { op, tasks: [{ stage: "s", id, processed: 1, ...task }], earlyTtlMs: 0 };
  if (next !== undefined) input.next = { lists: next.flatMap(({ stage, ids }) => listed(ids, stage).lists) };
  return input;
}

interface Done {
  stage?: string;
  processed?: number;
  error?: string;
  next?: readonly { stage: string; ids: readonly string[] }[];
}

/** A request that its first caller has registered by the call `register`. */
export function registered(ttlMs = TTL_MS) {
  const b = requestBench();
  b.run("request.register", requestOf("register", ttlMs));
  return b;
}

/** A bench with the steps of requests in few words. */
export function requestBench() {
  const b = bench();
  const view = () => b.run("request.status", {}).view;
  return {
    ...b,
    view,
    add: (stage: string, ...ids: string[]): OutputOf<"request.add"> =>
      b.run("request.add", { op: `add${fresh++}`, ...listed(ids, stage) }),
    /** The answer for the one task of the call. */
    ack: (input: InputOf<"request.ack">) => b.run("request.ack", input).results[0],
    verdict: (input: InputOf<"request.ack">) => b.run("request.ack", input).results[0]?.verdict,
    /** The version that progress is asked after. */
    version: () => `${view()?.generation}.${view()?.changes}`,
    untilMs: () => b.record("request")?.untilMs ?? 0,
    /** No announced task is open. */
    isComplete: () => b.run("request.wait", {}).ready,
    stateOf: (task: TaskRef) => b.run("request.tasks", { after: 0, limit: 100 }).items.find(({ id }) => id === task.id),
  };
}

export type RequestBench = ReturnType<typeof requestBench>;
