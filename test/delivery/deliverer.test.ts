import { describe, expect, it } from "vitest";
import type { Claim } from "../../src/core/outbox/attempts.js";
import { Deliverer } from "../../src/delivery/deliverer.js";
import { TARGET_KINDS } from "../../src/delivery/targets/registry.js";
import type { Backend } from "../../src/runtime/backend.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";

/** A claim as another version of the library could hand it out: no backend of this version gives one of a route it was not asked for. */
function claimOf(route: string): Claim {
  const snapshot = JSON.stringify({
    generation: 1,
    state: "completed",
    total: 0,
    succeeded: 0,
    failed: 0,
    remaining: 0,
  });
  const attempt = { generation: 1, deliveryId: "d", fence: 1, attempt: 1, type: "group.completed", createdAtMs: 0 };
  return { ...attempt, key: "1:end", route, body: "null", snapshot };
}

/** Delivers one claim without handlers or webhooks. Returns the settlement and the events. */
async function settlementOf(
  route: string,
): Promise<{ readonly settled: unknown; readonly events: CoordinatorEvent[] }> {
  const settled: unknown[] = [];
  const run = async (_transition: string, _id: string, input: unknown) => {
    settled.push(input);
    return { settled: true, delivery: { state: "pending" } };
  };
  const coordinator = { run } as unknown as Backend;
  const events: CoordinatorEvent[] = [];
  const host = { groups: () => coordinator, onEvent: (event: CoordinatorEvent) => void events.push(event) };
  await new Deliverer({ coordinator, kinds: TARGET_KINDS, host }).act("g", { claims: [claimOf(route)] }, "request");
  expect(settled).toHaveLength(1);
  return { settled: settled[0], events };
}

describe("a claim that this instance cannot deliver", () => {
  it.each([
    ["of a kind of a later version", "fax:12", "nothing here delivers to fax:12"],
    ["of a handler that it lacks", "handler:gone", "the handler failed"],
    ["of a webhook, without a sender", "url", "the webhook failed"],
  ])("fails, and does not count as delivered: %s", async (_, route, error) => {
    const { settled, events } = await settlementOf(route);
    expect(settled).toMatchObject({ key: "1:end", fence: 1, error });
    expect(settled).not.toHaveProperty("final");
    expect(events).toMatchObject([{ type: "delivery", machine: "request", id: "g", outcome: "retry" }]);
  });
});
