import { describe, expect, it } from "vitest";
import { decide } from "../../../src/core/group/policy.js";
import type { GroupHead, Policy } from "../../../src/core/group/record.js";
import { bench, named } from "../bench.js";

type Counts = Partial<Pick<GroupHead, "total" | "succeeded" | "failed" | "grows" | "sealed">>;

function decision(policy: Policy, counts: Counts, isCallOver = true): string | undefined {
  const head = { total: 0, succeeded: 0, failed: 0, policy, ...counts } as GroupHead;
  return decide(head, isCallOver)?.reason;
}

describe("the policy of a group", () => {
  it("prefers a failure over enough successes, where both hold", () => {
    const policy = { toleratedFailureCount: 0, minSuccessful: 1 };
    expect(decision(policy, { total: 2, succeeded: 1, failed: 1 })).toBe("failure_tolerance_exceeded");
    const percent = { toleratedFailurePpm: 0, minSuccessful: 1 };
    expect(decision(percent, { total: 2, succeeded: 1, failed: 1 })).toBe("failure_tolerance_exceeded");
  });

  it("decides a percentage and too few tasks only with the final total, once the call is over", () => {
    const half = { toleratedFailurePpm: 500_000 };
    expect(decision(half, { total: 2, failed: 1 })).toBeUndefined();
    expect(decision(half, { total: 3, failed: 2 })).toBe("failure_tolerance_exceeded");
    expect(decision(half, { total: 3, failed: 2 }, false)).toBeUndefined();
    expect(decision(half, { total: 3, failed: 2, grows: true, sealed: true })).toBeUndefined();
    const two = { minSuccessful: 2 };
    expect(decision(two, { total: 2, failed: 1 })).toBe("failure_tolerance_exceeded");
    expect(decision(two, { total: 2, failed: 1, grows: true })).toBeUndefined();
    expect(decision(two, { total: 2, succeeded: 1, failed: 1, grows: true, sealed: true })).toBe(
      "failure_tolerance_exceeded",
    );
  });

  it("decides absolute limits task by task, sealed or not", () => {
    expect(decision({ minSuccessful: 1 }, { total: 5, succeeded: 1, grows: true }, false)).toBe(
      "min_successful_reached",
    );
    expect(decision({ toleratedFailureCount: 1 }, { total: 5, failed: 2, grows: true }, false)).toBe(
      "failure_tolerance_exceeded",
    );
  });

  it("ends a group once: a limit that the end of the call exceeds too changes nothing", () => {
    const { run } = bench();
    run("completion.register", named(["a", "b", "c"], { policy: { minSuccessful: 1, toleratedFailurePpm: 0 } }));
    run("completion.ack", { op: "x", tasks: [{ id: "a", error: "broken" }, { id: "b" }], earlyTtlMs: 0 });
    expect(run("completion.status", {}).view).toMatchObject({
      state: "completed",
      completionReason: "min_successful_reached",
    });
  });
});
