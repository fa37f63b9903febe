import { expect, inject, it } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { CompletionTracker, defineBackend, MemoryCoordinator } from "../../src/index.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";
import { ManualClock } from "../../src/testing/index.js";
import { expectEachChangeOnce, type Life } from "../support/life-of-groups.js";
import { VersionedStore } from "./custom-store.js";

const RUN = crypto.randomUUID().slice(0, 8);

class AheadCoordinator extends UpstashCoordinator {
  aheadMs = 0;

  protected override clockSkewMs(): number {
    return this.aheadMs;
  }
}

type Make = (onEvent: (event: CoordinatorEvent) => void) => Omit<Life, "events" | "id">;

function custom(onEvent: (event: CoordinatorEvent) => void): Omit<Life, "events" | "id"> {
  let aheadMs = 0;
  const { definition } = new VersionedStore({});
  const advance = async (ms: number): Promise<void> => {
    aheadMs += ms;
  };
  return { coordinator: defineBackend({ ...definition, now: () => Date.now() + aheadMs, onEvent }), advance };
}

const MAKERS: readonly (readonly [string, Make])[] = Object.entries({
  custom,
  memory: (onEvent) => {
    const clock = new ManualClock();
    return { coordinator: new MemoryCoordinator({ clock, onEvent }), advance: (ms) => clock.advance(ms) };
  },
  upstash: (onEvent) => {
    const options = { url: inject("restUrl"), token: inject("restToken"), keyPrefix: `life-${RUN}:`, onEvent };
    const coordinator = new AheadCoordinator(options);
    const advance = async (ms: number): Promise<void> => {
      coordinator.aheadMs += ms;
    };
    return { coordinator, advance };
  },
} satisfies Record<string, Make>);

it.each(MAKERS)("%s reports each change of a group once, and no repeated call", async (_, make) => {
  const events: CoordinatorEvent[] = [];
  const life = make((event) => void events.push(event));
  // Redis and a store's names must survive any id.
  await expectEachChangeOnce({ ...life, events, id: (name) => `${name}: \t\n"ü%` });
});

it("a step that is refused after it began reports nothing, and the next step does", async () => {
  const events: CoordinatorEvent[] = [];
  const { coordinator, advance } = custom((event) => void events.push(event));
  const tracker = new CompletionTracker(coordinator);
  await tracker.register("g", 1, { timeoutSec: 60 });
  await advance(60_001);
  const stages = Array.from({ length: 65 }, (_, i) => ({ stage: `s${i}`, id: "x" }));
  // The step first ends the group, whose time is over, and then finds too many stages.
  await expect(tracker.register("g", stages, { restart: true })).rejects.toMatchObject({ code: "limit_exceeded" });
  expect(events.map(({ type }) => type)).toEqual(["registered"]);
  await tracker.status("g");
  expect(events.map(({ type }) => type)).toEqual(["registered", "ended"]);
});
