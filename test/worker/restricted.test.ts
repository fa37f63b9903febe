import { describe, expect, it } from "vitest";
import { CAPABILITY_VERBS, type CapabilityVerb, type Grant } from "../../src/capability/capability.js";
import { type Coordinator, isDrainable } from "../../src/coordinator.js";
import type { TransitionName } from "../../src/core/registry.js";
import { CompletionTracker, MemoryCoordinator } from "../../src/index.js";
import { isWatchable } from "../../src/runtime/access.js";
import { restricted } from "../../worker/capability/restricted.js";
import { INPUTS } from "../../worker/schemas/transitions.js";

const NAMES = Object.keys(INPUTS) as TransitionName[];
const STEPS: Readonly<Record<CapabilityVerb, readonly string[]>> = {
  ack: ["ack"],
  fail: [],
  status: ["status", "wait", "tasks"],
  results: ["results"],
  events: ["progress"],
  cancel: ["cancel"],
};
const INPUT_OF: Readonly<Record<string, object>> = {
  ack: { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 0 },
  wait: { isKnown: true },
  progress: { after: "", isKnown: true },
  tasks: { after: 0, limit: 1 },
  results: { after: 0, limit: 1 },
  cancel: { reason: "x" },
};

const grant = (fields: Partial<Grant>): Grant => ({
  machine: "completion",
  id: "g",
  verbs: CAPABILITY_VERBS,
  iat: 0,
  exp: 1,
  ...fields,
});

/** Returns the code of the refusal, or "done". */
async function outcomeOf(coordinator: Coordinator, name: TransitionName, id: string, watch: boolean): Promise<string> {
  const input = (INPUT_OF[name.split(".")[1] ?? ""] ?? {}) as never;
  const call = watch
    ? coordinator.watch(name as "completion.wait", id, input, { timeoutMs: 0 })
    : coordinator.run(name, id, input);
  return call.then(
    () => "done",
    (error: { readonly code: string }) => error.code,
  );
}

describe.each(["completion", "request"] as const)("a coordinator that a capability for a %s restricts", (machine) => {
  it.each(CAPABILITY_VERBS)("to %s runs and watches the transitions of that verb, on its own record", async (verb) => {
    const coordinator = restricted(new MemoryCoordinator(), grant({ machine, verbs: [verb] }));
    const wanted = STEPS[verb].map((step) => `${machine}.${step}`);
    const done: string[] = [];
    for (const name of NAMES) {
      for (const watch of isWatchable(name) ? [false, true] : [false]) {
        const outcome = await outcomeOf(coordinator, name, "g", watch);
        if (outcome === "forbidden") continue;
        expect(outcome, name).toBe("done");
        done.push(name);
      }
      expect(await outcomeOf(coordinator, name, "other", false), name).toBe("forbidden");
    }
    expect([...new Set(done)].sort()).toEqual([...wanted].sort());
  });
});

describe("a restricted coordinator", () => {
  it("refuses wakers, raw keys, lists and drains", async () => {
    const coordinator = restricted(new MemoryCoordinator(), grant({}));
    expect(() => coordinator.onWake("completion", { input: () => ({}) as never, act: async () => {} })).toThrow(
      /deliver/,
    );
    await expect(coordinator.incr("g")).rejects.toMatchObject({ code: "forbidden" });
    const query = { machine: "completion", lists: [0], order: "oldest", olderThanMs: 0, limit: 1 } as const;
    await expect(coordinator.list(query)).rejects.toMatchObject({ code: "forbidden" });
    expect(isDrainable(coordinator)).toBe(false);
  });

  it("puts its generation into every input, and shows no other one", async () => {
    const whole = new MemoryCoordinator();
    const tracker = new CompletionTracker(whole);
    const { generation } = await tracker.register("g", ["a", "b"]);
    const coordinator = restricted(whole, grant({ generation }));
    const own = new CompletionTracker(coordinator);
    expect((await own.status("g"))?.generation).toBe(generation);
    expect((await own.tasks("g"))?.items).toHaveLength(2);

    await tracker.register("g", ["a", "b"], { restart: true });
    expect(await own.tasks("g")).toBeNull();
    expect(await own.results("g")).toBeNull();
    expect((await own.ack("g", "a")).verdict).toBe("unknown");
    for (const read of [
      own.status("g"),
      own.wait("g", { timeoutMs: 10_000 }),
      own.cancel("g", "x"),
      own.newer("g", "", { timeoutMs: 0 }),
    ]) {
      await expect(read).rejects.toMatchObject({ code: "not_found" });
    }
    expect((await tracker.status("g"))?.state).toBe("open");
  });
});
