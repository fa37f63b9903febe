import { equal, isTrue } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";

/** The most deliveries of one handler that any backend starts at once. */
const MOST = 64;
const DRAINER = { needs: ["drainer", "clock"] } as const;

/** Registers groups without tasks: they end at once, and have a pending delivery to the handler. */
async function owing(t: Bench, ids: readonly string[], handler: string): Promise<void> {
  const tracker = t.bareTracker();
  const onComplete = { handler, payload: null } as never;
  await Promise.all(ids.map((id) => tracker.register(id, 0, { onComplete, ttlSec: 604_800 })));
}

function ids(t: Bench, count: number): string[] {
  return Array.from({ length: count }, (_, i) => t.id(`group-${i}`));
}

/** How long a case waits for a healthy handler: much longer than the handler takes, much shorter than an attempt. */
const PATIENCE_MS = 20_000;

/** Resolves when the condition holds, or after the timeout. */
async function until(holds: () => boolean): Promise<void> {
  const stopAtMs = Date.now() + PATIENCE_MS;
  while (!holds() && Date.now() < stopAtMs) await settle(2);
}

/** How slow or numerous deliveries may affect others. */
export const hanging: readonly ConformanceCase[] = [
  aCase(
    "a delivery comes in the first drain or the second, however many hang before it",
    { row: 43, ...DRAINER },
    async (t) => {
      const on = t.coordinator();
      const [hung, seen] = [ids(t, 100), [] as string[]];
      let open = (): void => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      t.tracker({ on, handlers: { hang: () => gate, healthy: () => void seen.push("healthy") } as never });
      await owing(t, hung, "hang");
      await owing(t, [t.id()], "healthy");
      let [drains, ended] = [0, 0];
      const drain = (stepMs: number): Promise<void> => {
        drains++;
        return t.advance(stepMs).then(() => void ended++);
      };
      const first = drain(0);
      await until(() => seen.length > 0 || ended > 0);
      // Only if the first drain has ended without the delivery.
      const second = seen.length > 0 || ended === 0 ? undefined : drain(1_000);
      await until(() => seen.length > 0);
      equal(seen, ["healthy"], `deliveries that do not hang, in ${drains} drains`);
      const tracker = t.bareTracker();
      const statuses = await Promise.all(hung.map((id) => tracker.status(id)));
      const attempts = statuses.filter((status) => status?.delivery.attempts !== 0).length;
      isTrue(attempts > 0 && attempts <= MOST, `${attempts} of those that hang have spent an attempt`);
      open();
      await Promise.all([first, second]);
      for (const id of [t.id(), ...hung]) await t.untilDelivery(id, "delivered", { stepMs: 60_000 });
    },
  ),
  aCase("groups that end in one turn do not all start the handler at once", { row: 47, ...DRAINER }, async (t) => {
    const on = t.coordinator();
    let [running, most, calls] = [0, 0, 0];
    const handler = async (): Promise<void> => {
      calls++;
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    };
    const tracker = t.tracker({ on, handlers: { handler } as never });
    const onComplete = { handler: "handler", payload: null } as never;
    const all = ids(t, 150);
    await Promise.all(all.map((id) => tracker.register(id, ["a"], { onComplete })));
    await Promise.all(all.map((id) => tracker.ack(id, "a")));
    for (let i = 0; i < 100 && calls < all.length; i++) await t.advance(0);
    await t.untilDelivery(all.at(-1) ?? "", "delivered");
    equal(calls, all.length, "calls of the handler");
    isTrue(most <= MOST, `at most ${most} at once`);
  }),
  aCase("one who is asked to deliver and fails keeps the next from nothing", DRAINER, async (t) => {
    const on = t.coordinator();
    const broken = (): never => {
      throw new Error("broken");
    };
    on.onWake("completion", { input: broken, act: async () => {} });
    const seen: string[] = [];
    t.tracker({ on, handlers: { healthy: () => void seen.push("healthy") } as never });
    on.onWake("completion", { input: broken, act: async () => {} });
    await owing(t, [t.id()], "healthy");
    await t.untilDelivery(t.id(), "delivered");
    equal(seen, ["healthy"], "deliveries");
  }),
];
