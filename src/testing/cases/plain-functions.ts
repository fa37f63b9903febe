import { equal } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";

/** Waits until the calls have come, or a timeout. */
async function untilCalled(t: Bench, calls: readonly unknown[], count: number): Promise<void> {
  for (let i = 0; i < 150 && calls.length < count; i++) {
    await t.advance(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await settle();
}

/** Waits some turns, to detect an extra call. */
async function untilQuiet(t: Bench): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await t.advance(0);
    await settle();
  }
}

const NEEDS = { needs: ["plain_functions"] } as const;

export const plainFunctions: readonly ConformanceCase[] = [
  aCase("a plain function is called once with the end, whichever instance acked last", NEEDS, async (t) => {
    const id = t.id();
    const calls: string[] = [];
    const onComplete = ({ state }: { readonly state: string }) => void calls.push(state);
    const status = await t.tracker().register(id, 2, { onComplete });
    equal(status.delivery.state, "none", "it is not durable");
    await t.tracker().ack(id, ["a", "b"]);
    await untilCalled(t, calls, 1);
    await untilCalled(t, calls, 1);
    equal(calls, ["completed"], "the calls");
  }),
  aCase("a plain function is called by the ack of its own instance", { ...NEEDS, row: 58 }, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    const calls: string[] = [];
    await tracker.register(id, ["a", "b"], { onEnd: ({ state }) => void calls.push(state) });
    await tracker.ack(id, "a");
    await settle();
    equal(calls, [], "the calls before the end");
    await tracker.ack(id, "b");
    await untilCalled(t, calls, 1);
    await untilQuiet(t);
    equal(calls, ["completed"], "the calls");
  }),
  aCase("of two instances that hold a plain function, one calls it", NEEDS, async (t) => {
    const id = t.id();
    const calls: string[] = [];
    const [first, second] = [t.tracker(), t.tracker()];
    await first.register(id, 1, { onComplete: () => void calls.push("first") });
    await second.register(id, 1, { onComplete: () => void calls.push("second") });
    await first.register(id, 1, { onComplete: () => void calls.push("first again") });
    await t.tracker().ack(id, "a");
    await untilCalled(t, calls, 1);
    await untilQuiet(t);
    equal(calls.length, 1, `calls (${calls})`);
  }),
  aCase("plain functions go by the end, and onEnd takes the ends that have none", NEEDS, async (t) => {
    const tracker = t.tracker();
    const calls: string[] = [];
    const targets = { onComplete: () => void calls.push("complete"), onEnd: () => void calls.push("end") };
    await tracker.register(t.id("cancelled"), 1, targets);
    await tracker.register(t.id("completed"), 1, targets);
    await tracker.cancel(t.id("cancelled"), "enough");
    await untilCalled(t, calls, 1);
    await tracker.ack(t.id("completed"), "a");
    await untilCalled(t, calls, 2);
    equal(calls, ["end", "complete"], "the calls");
  }),
  aCase("a plain function hears of a deadline", { needs: ["plain_functions", "clock"] }, async (t) => {
    const calls: string[] = [];
    const onTimeout = ({ state }: { readonly state: string }) => void calls.push(state);
    await t.tracker().register(t.id(), 1, { onTimeout, timeoutSec: 600 });
    await settle();
    await t.advance(601_000);
    await untilCalled(t, calls, 1);
    equal(calls, ["timed_out"], "the calls");
  }),
];
