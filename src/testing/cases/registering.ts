import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { ODD_IDS } from "./primitives.js";

const verdicts = (results: readonly { readonly verdict: string }[]): string[] => results.map(({ verdict }) => verdict);

export const registering: readonly ConformanceCase[] = [
  aCase("an unknown group is null everywhere, and asking does not make it", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal(await tracker.status(id), null, "status");
    equal(await tracker.cancel(id, "no"), null, "cancel");
    equal(await tracker.redeliver(id), null, "redeliver");
    equal(await tracker.results(id), null, "results");
    equal(await tracker.decrement(id), null, "decrement");
    equal((await tracker.register(id, 1)).remaining, 1, "a registration counts none of that");
  }),
  aCase("a registration says the whole status", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const status = await tracker.register(id, 3, { timeoutSec: 600, metadata: { user: "u1" } });
    matches(status, { groupId: id, state: "open", ok: false, reason: null, total: 3 }, "the status");
    matches(status, { succeeded: 0, failed: 0, remaining: 3, errors: [], metadata: { user: "u1" } }, "the status");
    const none = { state: "none", deliveryId: null, attempts: 0, lastError: null, nextAttemptAtMs: null };
    equal(status.delivery, none, "the delivery");
    isTrue(status.generation > 1_600_000_000_000, "the generation is the server's time");
    equal(present(status.deadlineAtMs, "the deadline") - status.generation, 600_000, "the deadline");
    equal(await t.tracker().status(id), status, "what another instance reads");
  }),
  aCase("registering again with the same specification changes nothing, before and after the end", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const targets = { onComplete: { handler: "nobody", payload: { a: 1, b: [2, { c: 3, d: 4 }] } } } as const;
    const first = await tracker.register(id, ["a", "b"], { ...targets, metadata: 1, timeoutSec: 600 });
    await tracker.ack(id, "a");
    const same = { onComplete: { handler: "nobody", payload: { b: [2, { d: 4, c: 3 }], a: 1 } } } as const;
    const again = await t.tracker().register(id, ["b", "a"], { ...same, metadata: 2, timeoutSec: 6_000 });
    matches(
      again,
      { generation: first.generation, deadlineAtMs: first.deadlineAtMs, metadata: 1 },
      "again, while open",
    );
    matches(again, { succeeded: 1, remaining: 1 }, "its progress");
    await tracker.ack(id, "b");
    const after = await tracker.register(id, ["a", "b"], { ...targets });
    matches(after, { generation: first.generation, state: "completed", succeeded: 2 }, "again, after the end");
  }),
  aCase("registering with another specification is a conflict that changes nothing", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const onComplete = { handler: "nobody", payload: 1 } as const;
    const first = await tracker.register(id, ["a", "b"], { onComplete });
    await rejects(() => tracker.register(id, ["a", "c"], { onComplete }), "conflict", "other tasks");
    await rejects(() => tracker.register(id, ["a", "b", "c"], { onComplete }), "conflict", "more tasks");
    await rejects(() => tracker.register(id, 2, { onComplete }), "conflict", "a total in place of a list");
    await rejects(() => tracker.register(id, ["a", "b"]), "conflict", "no target");
    const other = { handler: "nobody", payload: 2 } as const;
    await rejects(() => tracker.register(id, ["a", "b"], { onComplete: other }), "conflict", "another payload");
    await rejects(() => tracker.register(id, ["a", "b"], { onEnd: onComplete }), "conflict", "another end");
    equal(await tracker.status(id), first, "the group");
    await tracker.ack(id, ["a", "b"]);
    await rejects(() => tracker.register(id, ["a", "c"], { onComplete }), "conflict", "after the end");
  }),
  aCase("a restart begins a new generation, which knows nothing of the old one's acks", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = await tracker.register(id, ["a", "b"], { metadata: "old" });
    await tracker.ack(id, [
      { id: "a", result: 1 },
      { id: "b", error: "broken" },
    ]);
    const second = await tracker.register(id, ["a", "c", "d"], { restart: { from: first.generation } });
    isTrue(second.generation > first.generation, "the generation grows");
    matches(second, { state: "open", total: 3, remaining: 3, failed: 0, errors: [], metadata: null }, "the new group");
    equal((await tracker.results(id))?.items, [], "its results");
    equal((await tracker.ack(id, "b")).verdict, "unknown", "a task of the old list");
    equal(verdicts(await tracker.ack(id, ["a", "c", "d"])), ["accepted", "accepted", "accepted"], "its own tasks");
  }),
  aCase("a restart from a generation that the group has no more is a conflict", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await rejects(() => tracker.register(id, 1, { restart: { from: 1 } }), "conflict", "an unknown group");
    equal(await tracker.status(id), null, "it was not made");
    const first = await tracker.register(id, 2);
    const second = await tracker.register(id, 3, { restart: { from: first.generation } });
    await tracker.ack(id, "a");
    const late = () => tracker.register(id, 4, { restart: { from: first.generation } });
    await rejects(late, "conflict", "the first generation, again");
    matches(await tracker.status(id), { generation: second.generation, total: 3, remaining: 2 }, "the group");
  }),
  aCase("restart: true begins anew whatever stands, and registers what does not", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = await tracker.register(id, 1, { restart: true });
    const second = await tracker.register(id, 1, { restart: true });
    const third = await tracker.register(id, 1, { restart: true });
    isTrue(first.generation < second.generation && second.generation < third.generation, "the generations grow");
  }),
  aCase("generations do not fall back once a record has expired", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 60 }), t.id()];
    const first = await tracker.register(id, 0);
    await t.advance(61_000);
    equal(await tracker.status(id), null, "after the TTL");
    const second = await tracker.register(id, 5);
    isTrue(second.generation > first.generation, "the generation grows");
  }),
  aCase("metadata comes back as it was", {}, async (t) => {
    const tracker = t.tracker();
    const values = [
      null,
      false,
      0,
      "",
      [],
      {},
      [[]],
      { a: { b: [] } },
      [null, { c: null }],
      "é🙂\u0000",
      1e21,
      0.1,
      -0.5,
    ];
    for (const [i, metadata] of values.entries()) {
      const id = t.id(`group-${i}`);
      equal((await tracker.register(id, 1, { metadata })).metadata, metadata, `metadata ${i}, registered`);
      equal((await tracker.status(id))?.metadata, metadata, `metadata ${i}, read`);
    }
    const longest = "x".repeat(16_382);
    equal((await tracker.register(t.id("long"), 1, { metadata: longest })).metadata, longest, "16 KB");
    const over = () => tracker.register(t.id("longer"), 1, { metadata: `${longest}x` });
    await rejects(over, "invalid_input", "more than 16 KB", "metadata");
  }),
  aCase("of many registrations at once, all see one generation", {}, async (t) => {
    const id = t.id();
    const statuses = await Promise.all(Array.from({ length: 10 }, () => t.tracker().register(id, ["a", "b"])));
    equal(new Set(statuses.map(({ generation }) => generation)).size, 1, "generations");
  }),
  aCase("odd ids are ids like any other, of groups and of tasks", {}, async (t) => {
    const tracker = t.tracker();
    const group = t.id("tasks");
    await tracker.register(group, ODD_IDS);
    equal(
      verdicts(await tracker.ack(group, ODD_IDS)),
      ODD_IDS.map(() => "accepted"),
      "the acks",
    );
    equal((await tracker.status(group))?.state, "completed", "the group");
    for (const odd of ODD_IDS) await tracker.register(`${t.id("g")}${odd}`, [odd, "z"], { metadata: odd });
    for (const odd of ODD_IDS) {
      const id = `${t.id("g")}${odd}`;
      equal((await tracker.ack(id, { id: odd, error: odd })).remaining, 1, JSON.stringify(odd));
      const status = await tracker.status(id);
      matches(
        status,
        { groupId: id, metadata: odd, errors: [{ taskId: odd, stage: null, message: odd }] },
        JSON.stringify(odd),
      );
    }
  }),
];
