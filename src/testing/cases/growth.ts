import { equal, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { held } from "./requests.js";

/** An open group, and its tracker. */
async function growing(t: Bench, tasks: readonly string[] = []) {
  const [tracker, id] = [t.tracker(), t.id()];
  const { generation } = await tracker.register(id, tasks, { open: true });
  return { tracker, id, generation };
}

const added = (...ids: readonly string[]) => ids.map((taskId) => ({ taskId, stage: null }));

/** Groups that grow: `open`, `add`, `seal`, and the `next` of acks. */
export const growth: readonly ConformanceCase[] = [
  aCase("an open group does not end before its seal, however often all its tasks are done", {}, async (t) => {
    const { tracker, id } = await growing(t);
    matches(await tracker.status(id), { state: "open", sealed: false, total: 0, remaining: 0 }, "without tasks");
    matches(await tracker.add(id, "a"), { outcome: "added", added: added("a") }, "the first task");
    matches(await tracker.ack(id, "a"), { verdict: "accepted", ended: false, state: "open", remaining: 0 }, "its ack");
    matches(await tracker.add(id, ["b", "c"]), { outcome: "added", added: added("b", "c") }, "two more");
    const wait = held(t.tracker().wait(id, { timeoutMs: 20_000 }));
    await settle();
    await tracker.ack(id, ["b", "c"]);
    matches(await tracker.seal(id), { state: "completed", sealed: true, total: 3, succeeded: 3 }, "the seal");
    matches(await wait, { state: "completed", completionReason: "all_completed", ok: true }, "a waiter");
  }),
  aCase("a sealed group ends with its last task, and one without tasks by its seal", {}, async (t) => {
    const { tracker, id } = await growing(t, ["a", "b"]);
    matches(await tracker.seal(id), { state: "open", sealed: true, remaining: 2 }, "the seal");
    matches(await tracker.seal(id), { state: "open", sealed: true, remaining: 2 }, "another seal");
    equal(
      (await tracker.ack(id, ["a", "b"])).map(({ ended }) => ended),
      [false, true],
      "the acks",
    );
    const empty = t.id("empty");
    await tracker.register(empty, [], { open: true });
    matches(await tracker.seal(empty), { state: "completed", total: 0 }, "a group without tasks");
    equal(await tracker.seal(t.id("unknown")), null, "an unknown group");
  }),
  aCase("an ack that comes before its task is announced counts with the announcement", { row: 33 }, async (t) => {
    const { tracker, id } = await growing(t, ["a"]);
    matches(
      await tracker.ack(id, { id: "b", result: 7 }),
      { verdict: "early", state: "open", ended: false },
      "the ack",
    );
    matches(await tracker.ack(id, "b"), { verdict: "early" }, "a second ack");
    matches(await tracker.status(id), { total: 1, succeeded: 0, remaining: 1 }, "before the announcement");
    const { outcome, added: fresh, status } = await tracker.add(id, ["b", "c"]);
    equal([outcome, fresh], ["added", added("c")], "the tasks that need work");
    matches(status, { total: 3, succeeded: 1, remaining: 2 }, "after it");
    equal((await tracker.results(id))?.items, [{ taskId: "b", stage: null, result: 7 }], "the result");
    equal((await tracker.ack(id, "b")).verdict, "duplicate", "the ack, again");
  }),
  aCase("add says which tasks are new, and a settled task that is added again stays settled", {}, async (t) => {
    const { tracker, id } = await growing(t, ["a", "b"]);
    await tracker.ack(id, "a");
    await tracker.fail(id, "b", "broken");
    const { added: fresh, status } = await tracker.add(id, ["a", "b", "c", { id: "a", stage: "second" }]);
    equal(fresh, [...added("c"), { taskId: "a", stage: "second" }], "the new tasks");
    matches(status, { total: 4, succeeded: 1, failed: 1, remaining: 2 }, "the group");
    matches(
      status?.stages,
      { second: { total: 1, open: 1, succeeded: 0, failed: 0, processed: 0, requeueCount: 0, errorCount: 0 } },
      "its stages",
    );
  }),
  aCase("a resent add or seal adds nothing again, and gets its first answer", {}, async (t) => {
    const { id } = await growing(t);
    const lossy = t.bareTracker(losingReplies(t.coordinator()));
    matches(await lossy.add(id, ["a", "b"]), { outcome: "added", added: added("a", "b") }, "an add");
    const doubled = t.bareTracker(duplicating(t.coordinator()));
    matches(await doubled.add(id, ["b", "c"]), { outcome: "added", added: added("c") }, "a doubled add");
    const late = { op: crypto.randomUUID(), lists: [JSON.stringify(["", "d"])] };
    await t.coordinator().run("completion.add", id, late);
    matches(await lossy.seal(id), { state: "open", sealed: true, total: 4 }, "a seal");
    matches(await t.coordinator().run("completion.add", id, late), { outcome: "added", letters: "n" }, "a late copy");
    matches(await t.bareTracker().add(id, "e"), { outcome: "sealed", added: [] }, "another add");
    matches(await t.bareTracker().status(id), { total: 4, remaining: 4 }, "the group");
  }),
  aCase("what an ack hands on to is added in its step, so the group does not end in between", {}, async (t) => {
    const { tracker, id } = await growing(t, ["a"]);
    await tracker.seal(id);
    const first = await tracker.ack(id, "a", { next: ["b", { id: "a", stage: "second" }] });
    matches(first, { verdict: "accepted", ended: false, remaining: 2 }, "the ack that hands on");
    const copy = await tracker.ack(id, "a", { next: ["x"] });
    matches(copy, { verdict: "duplicate", remaining: 2 }, "a duplicate that hands on otherwise");
    const lossy = t.bareTracker(losingReplies(t.coordinator()));
    matches(await lossy.ack(id, "b", { next: ["c"] }), { verdict: "accepted", remaining: 2 }, "a resent ack");
    equal((await tracker.ack(id, { id: "a", stage: "second" })).ended, false, "the other stage");
    matches(await tracker.ack(id, "c"), { verdict: "accepted", ended: true, state: "completed" }, "the last");
    matches(await tracker.ack(id, "c", { next: ["d"] }), { verdict: "duplicate", state: "completed" }, "after the end");
    matches(await tracker.status(id), { total: 4, succeeded: 4 }, "the group");
  }),
  aCase(
    "a sealed group takes no next of strangers, before their announcement or without one",
    { row: 66 },
    async (t) => {
      const { tracker, id, generation } = await growing(t, ["a", "b"]);
      await tracker.seal(id);
      matches(
        await tracker.ack(id, "stranger", { next: ["x", "y"] }),
        { verdict: "early", remaining: 2 },
        "a stranger",
      );
      matches(
        await tracker.ack(id, "a", { generation: generation + 1, next: ["x"] }),
        { verdict: "unknown" },
        "another generation",
      );
      matches(await tracker.add(id, "stranger"), { outcome: "sealed", added: [] }, "an add");
      matches(await tracker.status(id), { total: 2, remaining: 2 }, "the group");
      matches(
        await tracker.ack(id, "a", { next: ["stranger"] }),
        { verdict: "accepted", remaining: 3 },
        "a hand on to it",
      );
      matches(await tracker.status(id), { total: 5, succeeded: 2 }, "what it had handed on to follows");
      equal((await tracker.ack(id, ["b", "x", "y"])).at(-1)?.ended, true, "the rest");
    },
  ),
  aCase("a closed group takes no more tasks, and knows no others", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const before = await tracker.register(id, ["a", "b"]);
    equal(before.sealed, true, "it is sealed from the start");
    await rejects(() => tracker.ack(id, "a", { next: ["c"] }), "conflict", "next", "open");
    await rejects(() => tracker.add(id, "c"), "conflict", "add", "open");
    equal((await tracker.ack(id, "c")).verdict, "unknown", "an ack of another task");
    equal(await tracker.status(id), before, "nothing was applied");
  }),
  aCase("early acks of an open group are taken into its registration", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal((await tracker.ack(id, "a", { next: ["c"] })).verdict, "early", "an ack with next");
    equal((await tracker.ack(id, "b")).verdict, "early", "an ack of a task that is announced later");
    matches(await tracker.register(id, ["a"], { open: true }), { total: 2, succeeded: 1, remaining: 1 }, "the group");
    matches(await tracker.add(id, "b"), { added: [] }, "the later task");
    await tracker.ack(id, "c");
    matches(await tracker.seal(id), { state: "completed", total: 3, succeeded: 3 }, "the end");
  }),
  aCase("add and seal say what became of them after the end, and for another generation", {}, async (t) => {
    const { tracker, id, generation } = await growing(t, ["a"]);
    const unknown = { outcome: "unknown", added: [], status: null };
    equal(await tracker.add(t.id("none"), "a"), unknown, "an unknown group");
    equal(await tracker.add(id, "b", { generation: generation + 1 }), unknown, "another generation");
    equal(await tracker.seal(id, { generation: generation + 1 }), null, "its seal");
    matches(await tracker.add(id, "b", { generation }), { outcome: "added" }, "this generation");
    await tracker.cancel(id, "enough");
    matches(await tracker.add(id, "c"), { outcome: "late", added: [] }, "after the end");
    matches(await tracker.seal(id), { state: "cancelled", sealed: false }, "a seal after the end");
  }),
  aCase("bad input of growing groups is refused by the field's name, and changes nothing", {}, async (t) => {
    const { tracker, id } = await growing(t, ["a"]);
    const before = await tracker.status(id);
    const refused = (call: () => Promise<unknown>, field: string) => rejects(call, "invalid_input", field, field);
    await refused(() => tracker.register(t.id("new"), 3, { open: true }), "tasks");
    await refused(() => tracker.register(t.id("new"), { indexed: 3 }, { open: true }), "tasks");
    await refused(() => tracker.add(id, ["b", ""]), "tasks[1]");
    await refused(() => tracker.add(id, ["b", "b"]), "tasks[1]");
    await refused(() => tracker.add(id, { id: "b", stage: "x".repeat(65) }), "stage");
    await refused(() => tracker.add(id, { id: "b", group: "" }), "group");
    await refused(
      () =>
        tracker.add(
          id,
          Array.from({ length: 1_001 }, (_, i) => i),
        ),
      "tasks",
    );
    await refused(() => tracker.ack(id, "a", { next: ["b", 1.5] }), "next[1]");
    await refused(() => tracker.ack(id, "a", { following: ["b"] } as never), "following");
    const stages = Array.from({ length: 65 }, (_, i) => ({ id: "b", stage: `s${i}` }));
    await rejects(() => tracker.add(id, stages), "limit_exceeded", "65 stages", "stages");
    equal(await tracker.status(id), before, "the group");
    equal(present(before, "the group").total, 1, "its tasks");
  }),
];
