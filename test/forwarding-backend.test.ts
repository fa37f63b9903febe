import { describe, expect, it } from "vitest";
import { Coordinator, DrainableCoordinator } from "../src/coordinator.js";
import { traced } from "../src/otel/index.js";
import type { Backend } from "../src/runtime/backend.js";
import { losingReplies } from "../src/testing/index.js";
import { limited } from "../worker/quotas/limited.js";
import { IsolateQuotas } from "../worker/quotas/quotas.js";
import { bounded } from "./backends/faults/bounded.js";

type Method = keyof Required<Backend>;

/** One call of each method of a backend. The compiler refuses a method that is missing here. */
const CALLS: { readonly [M in Method]: (coordinator: DrainableCoordinator) => unknown } = {
  run: (coordinator) => coordinator.run("kv.getInt", "key", {}),
  watch: (coordinator) => coordinator.watch("completion.wait", "group", {}, { timeoutMs: 0 }),
  onWake: (coordinator) => coordinator.onWake("completion", { input: () => ({}), act: async () => {} }),
  list: (coordinator) =>
    coordinator.list({ machine: "completion", lists: [0], order: "oldest", olderThanMs: 0, limit: 1 }),
  drain: (coordinator) => coordinator.drain(),
};

/** A backend that only says which of its methods was called. */
const echo = Object.fromEntries(
  Object.keys(CALLS).map((method) => [method, () => method]),
) as unknown as Required<Backend>;

const quotas = new IsolateQuotas({}).of({
  env: {},
  keyPrefix: "",
  namespace: () => ({}) as never,
  call: { method: "POST", path: "/" },
  nowMs: () => 0,
  tell: () => {},
});

const WRAPPERS: Readonly<Record<string, (inner: DrainableCoordinator) => Coordinator>> = {
  OpenTelemetry: (inner) => traced(inner),
  "a tenant's quotas": (inner) => limited(inner, quotas),
  "a fault": (inner) => losingReplies(inner, { times: 0 }),
  "the bounds of a test": (inner) => bounded(inner, {}),
};

describe.each(Object.entries(WRAPPERS))("a coordinator that %s wraps", (_, wrap) => {
  const settings = { isDistributed: false, ttlSec: 7, completionTimeoutSec: 8 };

  it.each(Object.keys(CALLS) as Method[])("passes %s on", async (method) => {
    const wrapped = wrap(new DrainableCoordinator(echo, settings)) as DrainableCoordinator;
    expect(await CALLS[method](wrapped)).toBe(method);
  });

  it("has the other one's settings", () => {
    expect(wrap(new DrainableCoordinator(echo, settings))).toMatchObject({
      isDistributed: false,
      defaultTtlSec: 7,
      completionTimeoutSec: 8,
    });
  });

  it("can be drained only if the other one can", () => {
    const { drain: _drain, ...withoutDrain } = echo;
    expect(wrap(new DrainableCoordinator(echo, settings))).toBeInstanceOf(DrainableCoordinator);
    expect(wrap(new Coordinator(withoutDrain) as DrainableCoordinator)).not.toBeInstanceOf(DrainableCoordinator);
  });
});
