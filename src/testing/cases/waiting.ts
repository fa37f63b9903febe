import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { waitOut } from "./wait-out.js";

const DAY_MS = 86_400_000;
const TURN_MS = 50;

/** Prevents an unhandled rejection while the case does something else. */
function held<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Sleeps in real time, in short steps: while the machine is suspended, at most one step passes. */
async function sleepInTurns(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= TURN_MS) await sleep(TURN_MS);
}

export const waiting: readonly ConformanceCase[] = [
  aCase("a wait resolves by the ack of another instance that ends the group", {}, async (t) => {
    const id = t.id();
    await t.tracker().register(id, ["a", "b"]);
    const wait = held(t.tracker().wait(id, { timeoutMs: 20_000 }));
    const acker = t.tracker();
    await acker.ack(id, "a");
    await settle();
    await acker.ack(id, "b");
    equal((await wait)?.state, "completed", "the state");
  }),
  aCase("a wait for a group that has ended resolves at once", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, 0);
    equal((await tracker.wait(id, { timeoutMs: 20_000 }))?.state, "completed", "with time");
    equal((await tracker.wait(id, { timeoutMs: 0 }))?.state, "completed", "without");
  }),
  aCase("a wait for an unknown group lasts until it is registered and has ended", {}, async (t) => {
    const id = t.id();
    let isOver = false;
    const wait = held(t.tracker().wait(id, { timeoutMs: 20_000 })).then((status) => {
      isOver = true;
      return status;
    });
    const tracker = t.tracker();
    await tracker.ack(id, "a");
    await settle();
    isTrue(!isOver, "an early ack is no end");
    await tracker.register(id, ["a", "b"]);
    await settle();
    isTrue(!isOver, "a registration is no end");
    await tracker.cancel(id, "enough");
    equal((await wait)?.reason, "enough", "the reason");
  }),
  aCase("a wait with no time looks once", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    const unknown = held(tracker.wait(id, { timeoutMs: 0 }));
    await t.advance(0);
    equal(await unknown, null, "an unknown group");
    await tracker.register(id, 1);
    const open = held(tracker.wait(id, { timeoutMs: 0 }));
    await t.advance(0);
    equal((await open)?.state, "open", "an open group");
  }),
  aCase("a wait past its time resolves with the group as it stands, which goes on", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, 2);
    await tracker.ack(id, "a");
    const waited = await waitOut(t, 2_000, (options) => tracker.wait(id, options));
    matches(waited, { state: "open", succeeded: 1, remaining: 1 }, "the wait");
    equal((await tracker.ack(id, "b")).ended, true, "the group");
  }),
  aCase("an abort ends a wait with the signal's reason", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, 1);
    const reason = new Error("the client is gone");
    const outcome = async (signal: AbortSignal): Promise<unknown> => {
      try {
        return await tracker.wait(id, { timeoutMs: 20_000, signal });
      } catch (error) {
        return error;
      }
    };
    isTrue((await outcome(AbortSignal.abort(reason))) === reason, "aborted beforehand");
    const controller = new AbortController();
    const during = outcome(controller.signal);
    await settle();
    controller.abort(reason);
    isTrue((await during) === reason, "aborted meanwhile");
    await tracker.ack(id, "a");
    equal((await tracker.wait(id, { timeoutMs: 20_000 }))?.state, "completed", "the next wait");
  }),
  aCase("one end resolves every wait, and one that gives up leaves the others alone", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, 1);
    const waits = Array.from({ length: 12 }, (_, i) =>
      held((i % 2 === 0 ? tracker : t.tracker()).wait(id, { timeoutMs: 20_000 })),
    );
    const controller = new AbortController();
    const given = held(tracker.wait(id, { timeoutMs: 20_000, signal: controller.signal }));
    await settle();
    controller.abort(new Error("gives up"));
    await given.catch(() => {});
    await tracker.ack(id, "a");
    const ends = await Promise.all(waits);
    equal([...new Set(ends.map((end) => end?.state))], ["completed"], "the states");
  }),
  aCase("many waits of one instance are ended alike, each with a status of its own", { row: 52 }, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, ["a", "b"], { metadata: { n: 1 } });
    const waits = Array.from({ length: 60 }, () => held(tracker.wait(id, { timeoutMs: 20_000 })));
    await settle();
    waits.push(...Array.from({ length: 60 }, () => held(tracker.wait(id, { timeoutMs: 20_000 }))));
    await t.tracker().ack(id, [{ id: "a", error: "broken" }, "b"]);
    const [first, ...rest] = await Promise.all(waits);
    Object.assign(Object(first?.metadata), { n: 2 });
    const status = await t.tracker().status(id);
    for (const end of rest) equal(end, status, "what each wait resolved with");
  }),
  aCase("a wait that begins after a restart is not ended by the end before it", { row: 52 }, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    const { generation } = await tracker.register(id, ["a"]);
    const before = held(tracker.wait(id, { timeoutMs: 20_000 }));
    await settle();
    await tracker.ack(id, "a");
    await tracker.register(id, ["a"], { restart: { from: generation } });
    let isOver = false;
    const after = held(tracker.wait(id, { timeoutMs: 20_000 })).finally(() => {
      isOver = true;
    });
    held(after);
    await settle();
    isTrue(!isOver, "the restarted group is open");
    await tracker.ack(id, "a");
    isTrue(present(await after, "the end").generation > generation, "the end of the restarted group");
    equal((await before)?.state, "completed", "the wait that began before");
  }),
  aCase(
    "a wait ends at its time, and by its signal, though the backend has stopped answering",
    { row: 22, needs: ["stalled"] },
    async (t) => {
      const on = present(t.harness.stalled?.(), "the stalled client");
      const requests = new RequestWaitTracker(on, { stages: ["embed"] });
      const waits: ((options: { timeoutMs: number; signal?: AbortSignal }) => Promise<unknown>)[] = [
        (options) => requests.wait(t.id("request"), options),
        (options) => requests.newer(t.id("request"), "", options),
        (options) => t.bareTracker(on).wait(t.id(), options),
      ];
      const timeOf = async (wait: (typeof waits)[number], label: string) => {
        // Timers fire in the order of their times, however late a busy machine runs them.
        const order: string[] = [];
        const sooner = sleep(300).then(() => order.push("0.3 s"));
        const timed = held(wait({ timeoutMs: 500 }));
        held(timed.finally(() => order.push("the wait")));
        await Promise.all([sooner, sleepInTurns(2_000)]);
        equal([...order, "2 s"], ["0.3 s", "the wait", "2 s"], `the time of ${label}, among other timers`);
        await rejects(() => timed, "wait_timeout", label);
      };
      await Promise.all(waits.map((wait, i) => timeOf(wait, `wait ${i}`)));
      for (const [i, wait] of waits.entries()) {
        const [controller, reason] = [new AbortController(), new Error("gone")];
        const aborted = held(wait({ timeoutMs: 60_000, signal: controller.signal }));
        await settle();
        controller.abort(reason);
        equal(await aborted.catch((error: unknown) => error === reason), true, `the signal of wait ${i}`);
      }
    },
  ),
  aCase("a wait resolves at the deadline without a write", { needs: ["clock"] }, async (t) => {
    const id = t.id();
    await t.tracker().register(id, 2, { timeoutSec: 600 });
    const wait = held(t.tracker().wait(id, { timeoutMs: DAY_MS }));
    await settle();
    await t.advance(601_000);
    equal((await wait)?.state, "timed_out", "the state");
  }),
  aCase("a caller that learns of a group's end reads that end", {}, async (t) => {
    const id = t.id();
    const tracker = t.tracker();
    await tracker.register(id, 3);
    const wait = held(t.tracker().wait(id, { timeoutMs: 20_000 }));
    const acks = await tracker.ack(id, ["a", { id: "b", error: "broken" }, "c"]);
    isTrue(acks[2]?.ended === true, "the third ack ended it");
    const status = present(await wait, "the status");
    equal([status.state, status.ok, status.failed], ["completed", false, 1], "what the wait resolved with");
    equal(await t.tracker().status(id), status, "what a reader sees");
  }),
];
