import { expect, it } from "vitest";
import { CompletionTracker, type Coordinator, defineBackend } from "../../src/index.js";
import { VersionedStore } from "./custom-store.js";
import { SkewedCoordinator, TOKEN, useLab } from "./upstash/support.js";

const lab = useLab();

/** What has no timer, with a clock that a test turns. Nothing drains. */
function withoutTimers(backend: string): { coordinator: Coordinator; pass: (ms: number) => void } {
  if (backend === "upstash") {
    const coordinator = new SkewedCoordinator({ url: lab.rest.url, token: TOKEN, keyPrefix: lab.keyPrefix });
    const pass = (ms: number): void => {
      coordinator.skewMs += ms;
    };
    return { coordinator, pass };
  }
  let aheadMs = 0;
  const { definition } = new VersionedStore();
  const coordinator = defineBackend({ ...definition, now: () => Date.now() + aheadMs });
  const pass = (ms: number): void => {
    aheadMs += ms;
  };
  return { coordinator, pass };
}

/** The calls that look at a group. */
const LOOKS = {
  status: (tracker: CompletionTracker<{ tell: unknown }>) => tracker.status("g"),
  "a late ack": (tracker: CompletionTracker<{ tell: unknown }>) => tracker.ack("g", "a"),
  "a wait": (tracker: CompletionTracker<{ tell: unknown }>) => tracker.wait("g", { timeoutMs: 5_000 }),
};

it.each(
  (["upstash", "custom"] as const).flatMap((backend) =>
    Object.entries(LOOKS).map(([name, look]) => [backend, name, look] as const),
  ),
)(
  "on %s, %s that applies a deadline also sends its callback, where its instance has the handler",
  async (backend, _, look) => {
    const { coordinator, pass } = withoutTimers(backend);
    const told: string[] = [];
    const tracker = new CompletionTracker(coordinator, {
      handlers: { tell: ({ type }: { type: string }) => void told.push(type) },
    });
    await tracker.register("g", ["a"], { onTimeout: { handler: "tell", payload: null }, timeoutSec: 60 });
    pass(61_000);
    await look(tracker as never);
    await expect.poll(() => told).toEqual(["group.timed_out"]);
  },
);
