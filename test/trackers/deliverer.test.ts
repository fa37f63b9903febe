import { expect, it } from "vitest";
import { MemoryBackend } from "../../src/backends/memory/backend.js";
import {
  CompletionTracker,
  CoordinationError,
  Coordinator,
  MemoryCoordinator,
  RequestWaitTracker,
} from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

it("tells of an attempt through an outage of the backend, so that it is not made again", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const run = coordinator.run.bind(coordinator);
  let refused = 0;
  coordinator.run = (transition, id, input, options) => {
    if (transition === "completion.settle" && refused++ < 2) {
      return Promise.reject(new CoordinationError("backend_unavailable", "away", { retryable: true }));
    }
    return run(transition, id, input, options);
  };
  const attempts: number[] = [];
  const settled = new Promise<string>((resolve) => {
    const tracker = new CompletionTracker(coordinator, {
      handlers: { publish: ({ attempt }) => void attempts.push(attempt) },
      onEvent: (event) => event.type === "delivery" && resolve(event.outcome),
    });
    void tracker.register("g", 0, { onComplete: { handler: "publish" } });
  });
  await clock.advance(1);
  expect(await settled).toBe("delivered");
  expect([refused, attempts]).toEqual([3, [1]]);
});

it("leaves deliveries to others once the tracker is closed", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const seen: string[] = [];
  const handlers = (name: string) => ({ publish: () => void seen.push(name) });
  const first = new CompletionTracker(coordinator, { handlers: handlers("first") });
  const second = new CompletionTracker(coordinator, { handlers: handlers("second") });
  first.close();
  await first.register("g", 0, { onComplete: { handler: "publish" } });
  await clock.advance(1);
  expect(seen).toEqual(["second"]);
  expect(await second.status("g")).toMatchObject({ delivery: { state: "delivered" } });
});

it("a deliverer retries the ack of a parent's task while a deployment lacks its backend", async () => {
  const clock = new ManualClock();
  const backend = new MemoryBackend({ clock });
  const coordinator = new Coordinator(backend, { isDistributed: false });
  const requests = new RequestWaitTracker(coordinator, { stages: ["embed"] });
  await requests.register("request");
  await requests.add("request", "embed", "task");
  const run = backend.run.bind(backend);
  const lacking = ["unsupported", "misconfigured", "unauthorized"] as const;
  let asked = 0;
  backend.run = (transition, id, input, options) => {
    const code = transition === "request.ack" ? lacking[asked++] : undefined;
    return code === undefined
      ? run(transition, id, input, options)
      : Promise.reject(new CoordinationError(code, "no binding"));
  };
  const groups = new CompletionTracker(coordinator);
  const target = { task: { requestId: "request", stage: "embed", taskId: "task" } };
  await groups.register("g", 0, { onComplete: target });
  for (let i = 0; i < 60 && (await requests.status("request"))?.state !== "complete"; i++) await clock.advance(1_000);
  expect(await groups.status("g")).toMatchObject({ delivery: { state: "delivered", attempts: 4 } });
  expect(await requests.status("request")).toMatchObject({ stages: { embed: { processed: 1 } } });
});
