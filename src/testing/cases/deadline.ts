import type { AckResult } from "../../trackers/group/ack-result.js";
import { equal, matches, present } from "../assert.js";
import { delaying } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";

const ON_END = { handler: "record", payload: 1 } as const;

/** Prevents an unhandled rejection while the case does something else. */
function held<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

/** A group with one ack close to its deadline: the results of the ack and of a waiter. */
interface Meeting {
  readonly id: string;
  readonly ack: AckResult;
  /** The backend's time after the ack's reply. */
  readonly afterMs: number;
  readonly waited: string | undefined;
}

/** Checks that the ack, the waiter, the delivery and later readers report the same end. Returns it. */
async function agree(t: Bench, { id, ack, waited }: Meeting): Promise<string> {
  await t.untilDelivery(id, "delivered", { stepMs: 10_000 });
  const state = ack.verdict === "accepted" ? "completed" : "timed_out";
  const isDone = state === "completed";
  matches(ack, { verdict: isDone ? "accepted" : "late", state, ended: isDone, remaining: isDone ? 0 : 1 }, "the ack");
  equal(waited, state, "what the waiter was told");
  const status = present(await t.bareTracker().status(id), "the group");
  matches(status, { state, ok: isDone, succeeded: isDone ? 1 : 0, remaining: isDone ? 0 : 1 }, "the group");
  equal((await t.bareTracker().ack(id, "a")).verdict, isDone ? "duplicate" : "late", "another ack");
  const [first, ...more] = await t.deliveries(id);
  matches(first?.event, { type: `group.${state}` }, "the delivery");
  matches(first?.event.status, { state, succeeded: isDone ? 1 : 0 }, "the status that was delivered");
  equal(more.length, 0, "further deliveries");
  return state;
}

export const deadline: readonly ConformanceCase[] = [
  aCase(
    "a deadline that meets the last ack gives the group one end, for good",
    { row: 12, needs: ["clock", "handlers"] },
    async (t) => {
      const tracker = t.tracker();
      const onEnd = { handler: "record", payload: 1 } as const;
      await tracker.register(t.id("done"), 1, { onEnd, timeoutSec: 600 });
      await tracker.register(t.id("late"), 1, { onEnd, timeoutSec: 600 });
      await tracker.ack(t.id("done"), "a");
      await t.untilDelivery(t.id("done"), "delivered");
      await t.advance(601_000);
      const [late] = await Promise.all([tracker.ack(t.id("late"), "a"), t.advance(0)]);
      equal(late.verdict, "late", "the ack after the deadline");
      await t.untilDelivery(t.id("late"), "delivered", { stepMs: 10_000 });
      equal((await tracker.status(t.id("done")))?.state, "completed", "all acks were applied first");
      equal((await tracker.status(t.id("late")))?.state, "timed_out", "the deadline came first");
      const types = async (id: string) => (await t.deliveries(id)).map(({ event }) => event.type);
      equal(await types(t.id("done")), ["group.completed"], "what was delivered");
      equal(await types(t.id("late")), ["group.timed_out"], "what was delivered");
    },
  ),
  aCase(
    "an ack under way at the very instant of the deadline agrees with it on one end, for good",
    { row: 12, needs: ["clock", "handlers"] },
    async (t) => {
      const tracker = t.tracker();
      const register = async (label: string, timeoutSec: number): Promise<string> => {
        await tracker.register(t.id(label), ["a"], { onEnd: ON_END, timeoutSec });
        return t.id(label);
      };
      /** Returns the backend's time: the generation of a new group. */
      const nowMs = async () => (await tracker.register(crypto.randomUUID(), 0)).generation;
      /** Sends the group's ack, while a waiter reads at the exact millisecond of the deadline. */
      const meet = async (id: string, acker = tracker): Promise<Meeting> => {
        const wait = held(t.bareTracker().wait(id, { timeoutMs: 86_400_000 }));
        const ack = await acker.ack(id, "a");
        const afterMs = await nowMs();
        return { id, ack, afterMs, waited: (await wait)?.state };
      };
      const meetings: Meeting[] = [];
      // For a real clock: deadlines that approach the time at which an ack arrives that is sent at once.
      for (let i = 0, timeoutMs = 1_024, stepMs = 512; i < 10; i++, stepMs = Math.max(1, stepMs / 2)) {
        const id = await register(`short-${i}`, timeoutMs / 1_000);
        const beforeMs = await nowMs();
        const meeting = await meet(id);
        const deadlineAtMs = Number(present(await tracker.status(id), "the group").deadlineAtMs);
        if (beforeMs >= deadlineAtMs) equal(meeting.ack.verdict, "late", "an ack after the deadline");
        if (meeting.afterMs < deadlineAtMs) equal(meeting.ack.verdict, "accepted", "an ack before the deadline");
        meetings.push(meeting);
        timeoutMs = Math.max(1, timeoutMs + (meeting.ack.verdict === "accepted" ? -stepMs : stepMs));
      }
      // For a manual clock: acks that start when the clock moves, and arrive some turns of the event loop later.
      const ids = await Promise.all(Array.from({ length: 6 }, (_, i) => register(`moved-${i}`, 600)));
      await t.advance(599_900);
      const moved = ids.map((id, i) => {
        return meet(id, t.bareTracker(delaying(t.coordinator(), { hold: () => settle(12 * i) })));
      });
      await t.advance(100);
      meetings.push(...(await Promise.all(moved)));
      const late = await register("late", 60);
      await t.advance(61_000);
      meetings.push(await meet(late));
      const states: string[] = [];
      for (const meeting of meetings) states.push(await agree(t, meeting));
      equal(states.at(-1), "timed_out", "a deadline that was first");
      await t.advance(901_000);
      for (const [i, meeting] of meetings.entries())
        equal(await agree(t, meeting), states[i], "a quarter of an hour on");
    },
  ),
];
