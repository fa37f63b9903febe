import type { CompletionPolicy } from "../../trackers/group/policy.js";
import { equal, matches, rejects } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const TASKS = ["a", "b", "c", "d"];
const broken = (...ids: readonly string[]) => ids.map((id) => ({ id, error: "broken" }));

/** Registers a group of four tasks under a policy. */
async function under(t: Bench, complete: CompletionPolicy, label = "group") {
  const [tracker, id] = [t.tracker(), t.id(label)];
  await tracker.register(id, TASKS, { complete });
  return { tracker, id };
}

const ENOUGH = { state: "completed", completionReason: "min_successful_reached" };
const EXCEEDED = { state: "failed", ok: false, completionReason: "failure_tolerance_exceeded", reason: null };
const ALL = { state: "completed", completionReason: "all_completed" };

/** Groups that end before all of their tasks are done. */
export const policies: readonly ConformanceCase[] = [
  aCase("minSuccessful ends a group as soon as so many tasks have succeeded", {}, async (t) => {
    const { tracker, id } = await under(t, { minSuccessful: 2 });
    await tracker.fail(id, "a", "broken");
    equal((await tracker.ack(id, "b")).ended, false, "the first success");
    matches(await tracker.ack(id, "c"), { verdict: "accepted", ended: true, state: "completed" }, "the second");
    matches(await tracker.status(id), { ...ENOUGH, ok: false, succeeded: 2, failed: 1, remaining: 1 }, "the end");
    matches(await tracker.ack(id, "d"), { verdict: "late", remaining: 1, ended: false }, "a late ack");
    matches(await tracker.fail(id, "c", "late"), { verdict: "duplicate" }, "a late failure of a counted task");
    matches(await tracker.status(id), { ...ENOUGH, succeeded: 2, failed: 1 }, "the end, later");
  }),
  aCase("minSuccessful fails a group as soon as too few tasks are left for it", {}, async (t) => {
    const { tracker, id } = await under(t, { minSuccessful: 3 });
    await tracker.fail(id, "a", "broken");
    matches(await tracker.fail(id, "b", "broken"), { ended: true, state: "failed" }, "the second failure");
    matches(await tracker.status(id), { ...EXCEEDED, failed: 2, remaining: 2 }, "the end");
  }),
  aCase("toleratedFailureCount fails a group with one failure more, and 0 with the first", {}, async (t) => {
    const { tracker, id } = await under(t, { toleratedFailureCount: 1 });
    equal((await tracker.fail(id, "a", "broken")).ended, false, "a failure that is tolerated");
    matches(await tracker.fail(id, "b", "broken"), { ended: true, state: "failed" }, "one more");
    matches(await tracker.status(id), { ...EXCEEDED, failed: 2, remaining: 2 }, "the end");
    const strict = await under(t, { toleratedFailureCount: 0 }, "strict");
    matches(await tracker.fail(strict.id, "a", "broken"), { ended: true, state: "failed" }, "fail fast");
    const fine = await under(t, { toleratedFailureCount: 1 }, "fine");
    await tracker.ack(fine.id, [...broken("a"), "b", "c", "d"]);
    matches(await tracker.status(fine.id), { ...ALL, ok: false, failed: 1 }, "a group within its tolerance");
  }),
  aCase("toleratedFailurePercentage fails a group with more failures than that", {}, async (t) => {
    const { tracker, id } = await under(t, { toleratedFailurePercentage: 25 });
    equal((await tracker.fail(id, "a", "broken")).ended, false, "a quarter");
    equal((await tracker.fail(id, "b", "broken")).ended, true, "a half");
    matches(await tracker.status(id), EXCEEDED, "the end");
    const all = await under(t, { toleratedFailurePercentage: 100 }, "all");
    await tracker.ack(all.id, broken(...TASKS));
    matches(await tracker.status(all.id), { ...ALL, ok: false, failed: 4 }, "a group that tolerates all");
    const none = await under(t, { toleratedFailurePercentage: 0 }, "none");
    equal((await tracker.fail(none.id, "a", "broken")).ended, true, "a group that tolerates none");
  }),
  aCase("the first limit that is exceeded decides, task by task in the order of a call", {}, async (t) => {
    const { tracker, id } = await under(t, { minSuccessful: 1, toleratedFailureCount: 0 });
    const results = await tracker.ack(id, [...broken("a"), "b"]);
    equal(
      results.map(({ verdict, ended }) => [verdict, ended]),
      [
        ["accepted", true],
        ["late", false],
      ],
      "the acks",
    );
    matches(await tracker.status(id), { ...EXCEEDED, succeeded: 0, failed: 1 }, "failed first");
    const other = await under(t, { minSuccessful: 1, toleratedFailureCount: 0 }, "other");
    await tracker.ack(other.id, ["b", ...broken("a")]);
    matches(await tracker.status(other.id), { ...ENOUGH, succeeded: 1, failed: 0 }, "succeeded first");
  }),
  aCase("early acks decide a group by its registration, in the order of their arrival", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.ack(id, ["a", ...broken("b"), "c"]);
    const complete = { toleratedFailureCount: 0 };
    matches(await tracker.register(id, TASKS, { complete }), { ...EXCEEDED, succeeded: 1, failed: 1 }, "the end");
  }),
  aCase("an open group reaches minSuccessful before its seal, and its percentage only at the end", {}, async (t) => {
    const [tracker, id, few] = [t.tracker(), t.id(), t.id("few")];
    await tracker.register(id, ["a"], { open: true, complete: { minSuccessful: 2, toleratedFailurePercentage: 50 } });
    equal((await tracker.fail(id, "a", "broken")).ended, false, "all tasks so far have failed");
    await tracker.add(id, ["b", "c"]);
    equal((await tracker.ack(id, "b")).ended, false, "one success");
    equal((await tracker.ack(id, "c")).ended, true, "two");
    matches(await tracker.status(id), { ...ENOUGH, sealed: false, total: 3 }, "the end");
    await tracker.register(few, ["a", "b"], { open: true, complete: { minSuccessful: 3 } });
    await tracker.ack(few, ["a", "b"]);
    matches(await tracker.seal(few), EXCEEDED, "a seal with too few tasks");
  }),
  aCase("a policy's end ends the wait, and goes to onFailure or onSuccess", { needs: ["handlers"] }, async (t) => {
    const target = (payload: string) => ({ handler: "record", payload }) as const;
    const targets = { onSuccess: target("success"), onFailure: target("failure"), onComplete: target("complete") };
    const tracker = t.tracker();
    const ends: [string, () => Promise<unknown>, string, string][] = [
      ["failed", () => tracker.fail(t.id("failed"), "a", "broken"), "group.failed", "failure"],
      ["success", () => tracker.ack(t.id("success"), ["a", "b"]), "group.completed", "success"],
      ["mixed", () => tracker.ack(t.id("mixed"), [...broken("a"), "b", "c"]), "group.completed", "complete"],
    ];
    for (const [label, act, type, payload] of ends) {
      const tolerance = label === "failed" ? 0 : 1;
      const complete = { minSuccessful: 2, toleratedFailureCount: tolerance };
      await tracker.register(t.id(label), TASKS, { complete, ...targets });
      const wait = tracker.wait(t.id(label), { timeoutMs: 20_000 });
      await act();
      equal(`group.${(await wait)?.state}`, type, "the waiter");
      const [first, ...more] = await t.untilDelivered(t.id(label), 1);
      matches(first?.event, { type, payload }, `the delivery: ${label}`);
      equal(more.length, 0, "further deliveries");
    }
  }),
  aCase("a plain function for the failure hears of it", { needs: ["plain_functions"] }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    let heard = (_: string): void => {};
    const call = new Promise<string>((resolve) => {
      heard = resolve;
    });
    const onFailure = ({ state }: { readonly state: string }) => heard(state);
    await tracker.register(id, TASKS, { complete: { toleratedFailureCount: 0 }, onFailure, onEnd: () => heard("end") });
    await tracker.fail(id, "a", "broken");
    equal(await call, "failed", "the call");
  }),
  aCase("a policy belongs to the registration: another one is a conflict", {}, async (t) => {
    const { tracker, id } = await under(t, { minSuccessful: 2 });
    matches(await tracker.register(id, TASKS, { complete: { minSuccessful: 2 } }), { remaining: 4 }, "the same");
    await rejects(() => tracker.register(id, TASKS, { complete: { minSuccessful: 3 } }), "conflict", "another");
    await rejects(() => tracker.register(id, TASKS), "conflict", "none");
  }),
  aCase("policies that cannot be meant are refused by name", {}, async (t) => {
    const refusals: [CompletionPolicy, string][] = [
      [{}, "minSuccessful"],
      [null as never, "complete"],
      [{ minSuccessful: 0 }, "minSuccessful"],
      [{ minSuccessful: 5 }, "minSuccessful"],
      [{ minSuccessful: 1.5 }, "minSuccessful"],
      [{ toleratedFailureCount: -1 }, "toleratedFailureCount"],
      [{ toleratedFailureCount: 0.5 }, "toleratedFailureCount"],
      [{ toleratedFailurePercentage: -1 }, "toleratedFailurePercentage"],
      [{ toleratedFailurePercentage: 101 }, "toleratedFailurePercentage"],
      [{ toleratedFailurePercentage: Number.NaN }, "toleratedFailurePercentage"],
      [{ tolerated: 1 } as never, "tolerated"],
    ];
    for (const [complete, field] of refusals) {
      await rejects(() => t.tracker().register(t.id(), TASKS, { complete }), "invalid_input", field, field);
    }
    equal(await t.tracker().status(t.id()), null, "nothing was registered");
    const open = await t.tracker().register(t.id(), [], { open: true, complete: { minSuccessful: 5 } });
    equal(open.state, "open", "an open group may get its tasks later");
  }),
];
