import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import { type CoordinatorConfig, type CreateCoordinatorOptions, createCoordinator } from "../../src/config/index.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { countOf, groupObject, resetAll } from "../support/test-worker.js";

afterEach(resetAll);

/** A group from its registration to its end, with the deadline that it got, in seconds. */
async function roundTrip(config: CoordinatorConfig, options: CreateCoordinatorOptions) {
  const tracker = new CompletionTracker(await createCoordinator(config, options));
  const id = crypto.randomUUID();
  const { deadlineAtMs } = await tracker.register(id, ["a", "b"]);
  const waiting = tracker.wait(id, { timeoutMs: 5_000 });
  await tracker.ack(id, ["a", "b"]);
  const end = await waiting;
  return { id, state: end?.state, deadlineSec: Math.round(((deadlineAtMs ?? 0) - Date.now()) / 10_000) * 10 };
}

const DURABLE: CoordinatorConfig = {
  backend: "durable-object",
  durableObject: { keyPrefix: "config:" },
  completionTimeoutSec: 60,
};

it.each([
  ["found in env", { env }],
  ["handed in", { namespace: env.COORDINATOR }],
])("calls the objects of a binding that is %s", async (_, options) => {
  const { id, ...rest } = await roundTrip(DURABLE, options);
  expect(rest).toEqual({ state: "completed", deadlineSec: 60 });
  // The group, and the object's own prefix.
  expect(await countOf(groupObject(id, "config:"), "records")).toBe(2);
});

it("takes the secrets of a Worker's env", async () => {
  const { state, deadlineSec } = await roundTrip({ backend: "upstash", upstash: { keyPrefix: "config:" } }, { env });
  expect({ state, deadlineSec }).toEqual({ state: "completed", deadlineSec: 1_800 });
});

it("says what is missing when a Worker does not hand its env in", async () => {
  await expect(createCoordinator(DURABLE)).rejects.toMatchObject({
    code: "misconfigured",
    message: expect.stringMatching(/hand in the Worker's env/),
  });
});
