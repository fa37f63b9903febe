import { equal, matches, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Returns how many results there are of each verdict. */
function tally(results: readonly { readonly verdict: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { verdict } of results) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}

/** Groups whose tasks are numbers. */
export const indexed: readonly ConformanceCase[] = [
  aCase("numbered tasks count once each, however often and in whichever order they are acked", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    matches(await tracker.register(id, { indexed: 600 }), { total: 600, remaining: 600, state: "open" }, "the group");
    equal(tally(await tracker.ack(id, numbers(100, 400))), { accepted: 300 }, "the middle");
    equal(tally(await tracker.ack(id, numbers(0, 300))), { accepted: 100, duplicate: 200 }, "what overlaps it");
    equal(tally(await tracker.ack(id, [599, 599, "599", "0"])), { accepted: 1, duplicate: 3 }, "as text, and twice");
    matches(await tracker.status(id), { succeeded: 401, remaining: 199 }, "on the way");
    const last = await tracker.ack(id, numbers(400, 599));
    matches(last.at(-1), { verdict: "accepted", ended: true, state: "completed", remaining: 0 }, "the last");
    matches(await tracker.status(id), { ok: true, succeeded: 600 }, "the end");
    equal((await tracker.ack(id, 5)).verdict, "duplicate", "a late copy");
  }),
  aCase("a number that is none of the group's tasks is unknown, as is any other text", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, { indexed: 300 });
    const strangers = [
      300,
      1_000_000,
      "-1",
      "01",
      "1.0",
      "1e2",
      "0x1",
      " 1",
      "1 ",
      "-0",
      "nan",
      "inf",
      "one",
      "__proto__",
    ];
    equal(tally(await tracker.ack(id, strangers)), { unknown: strangers.length }, "strangers");
    equal((await tracker.status(id))?.remaining, 300, "what remains");
    equal((await tracker.ack(id, 299)).verdict, "accepted", "the last of them");
  }),
  aCase("a call for numbered tasks gets the same answer when it comes again", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, { indexed: 5 });
    await tracker.ack(id, 1);
    const lossy = t.tracker({ on: losingReplies(t.coordinator()) });
    const results = await lossy.ack(id, [1, 2, 2, 9]);
    equal(
      results.map(({ verdict }) => verdict),
      ["duplicate", "accepted", "duplicate", "unknown"],
      "one whose reply was lost",
    );
    await t.tracker({ on: duplicating(t.coordinator()) }).ack(id, [{ id: 3, error: "broken" }, 4]);
    matches(await tracker.status(id), { succeeded: 3, failed: 1, remaining: 1 }, "one that came twice");
    matches(await lossy.ack(id, 0), { verdict: "accepted", ended: true, state: "completed" }, "the one that ended it");
  }),
  aCase("acks that come before numbered tasks are registered count when they are", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal(
      tally(await tracker.ack(id, [0, { id: 1, result: "r" }, { id: 2, error: "broken" }, 7])),
      { early: 4 },
      "early",
    );
    matches(await tracker.register(id, { indexed: 4 }), { succeeded: 2, failed: 1, remaining: 1 }, "the group");
    equal(tally(await tracker.ack(id, [0, 1])), { duplicate: 2 }, "again");
    equal((await tracker.results(id))?.items, [{ taskId: "1", stage: null, result: "r" }], "the results");
    await tracker.ack(id, 3);
    const status = await tracker.status(id);
    matches(
      status,
      { state: "completed", ok: false, errors: [{ taskId: "2", stage: null, message: "broken" }] },
      "the end",
    );
  }),
  aCase("a restart begins numbered tasks anew, and an old generation's acks count for nothing", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = await tracker.register(id, { indexed: 300 });
    await tracker.ack(id, numbers(0, 200));
    const second = await tracker.register(id, { indexed: 300 }, { restart: { from: first.generation } });
    equal(second.remaining, 300, "the new generation");
    equal((await tracker.ack(id, 299, { generation: first.generation })).verdict, "unknown", "an old ack");
    equal(
      tally(await tracker.ack(id, numbers(0, 300), { generation: second.generation })),
      { accepted: 300 },
      "the new ones",
    );
  }),
  aCase("numbered tasks are another specification than a total or a list", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, { indexed: 2 });
    equal((await tracker.register(id, { indexed: 2 })).remaining, 2, "the same again");
    await rejects(() => tracker.register(id, 2), "conflict", "a total");
    await rejects(() => tracker.register(id, ["0", "1"]), "conflict", "a list");
    await rejects(() => tracker.decrement(id), "conflict", "a decrement");
    await rejects(() => tracker.register(t.id("b"), { indexed: "1" as never }), "invalid_input", "a text", "indexed");
    await rejects(() => tracker.register(t.id("c"), { indexed: 1_000_001 }), "invalid_input", "too many", "indexed");
    equal((await tracker.register(t.id("none"), { indexed: 0 })).state, "completed", "none at all");
  }),
];
