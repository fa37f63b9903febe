import type { GroupStatus } from "../../delivery/group-status.js";
import type { GroupTask } from "../../trackers/group/reader.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { held } from "./requests.js";

/** Moves the clock until the work is done, for backends whose readers look again by the clock that the case moves. */
async function moving<T>(work: Promise<T>, advance: () => Promise<void>): Promise<T> {
  let isDone = false;
  const over = (): void => {
    isDone = true;
  };
  work.then(over, over);
  for (let i = 0; i < 200 && !isDone; i++) {
    await advance();
    await settle(2);
  }
  return work;
}

/** Reads of tasks, results and progress. */
export const reading: readonly ConformanceCase[] = [
  aCase("tasks are listed by state, in the order of their announcement", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["c", "a"], { open: true });
    await tracker.add(id, [{ id: "a", stage: "second" }, "b"]);
    await tracker.ack(id, "b", { next: ["d"] });
    await tracker.fail(id, { id: "a", stage: "second" }, "x".repeat(300));
    const open = (taskId: string) => ({ taskId, stage: null, state: "open", error: null });
    const failed = { taskId: "a", stage: "second", state: "failed", error: "x".repeat(300) };
    const succeeded = { taskId: "b", stage: null, state: "succeeded", error: null };
    const of = async (state?: GroupTask["state"]) => (await tracker.tasks(id, { state }))?.items;
    const all = present(await of(), "all").map(({ taskId, stage }) => (stage === null ? taskId : `${taskId} ${stage}`));
    equal(all, ["c", "a", "a second", "b", "d"], "all, and those of one call stage by stage");
    equal(await of("open"), [open("c"), open("a"), open("d")], "open");
    equal(await of("failed"), [failed], "failed");
    equal(await of("succeeded"), [succeeded], "succeeded");
    await tracker.retry(id, { id: "a", stage: "second" });
    equal(await of("failed"), [], "failed, after a retry");
    equal(await tracker.tasks(t.id("none")), null, "an unknown group");
  }),
  aCase("tasks and results come in pages, each task once", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const ids = Array.from({ length: 150 }, (_, i) => `t${i}`);
    await tracker.register(id, ids);
    const done = ids.filter((_, i) => i % 2 === 1).reverse();
    await tracker.ack(
      id,
      done.map((taskId) => ({ id: taskId, result: taskId })),
    );
    const found: string[] = [];
    let pages = 0;
    for (let after: number | null = 0; after !== null; pages++) {
      const page: { readonly items: readonly GroupTask[]; readonly next: number | null } = present(
        await tracker.tasks(id, { state: "open", after, limit: 40 }),
        "the page",
      );
      isTrue(page.items.length <= 40, "a page of at most 40");
      found.push(...page.items.map(({ taskId }) => taskId));
      after = page.next;
    }
    equal(
      found,
      ids.filter((_, i) => i % 2 === 0),
      "the open tasks",
    );
    equal(pages, 4, "the pages");
    const listed: unknown[] = [];
    for await (const { result } of tracker.allResults(id, { order: "registration", limit: 40 })) listed.push(result);
    equal(listed, [...done].reverse(), "the results in the order of the registration");
    const acked: unknown[] = [];
    for await (const { result } of tracker.allResults(id, { limit: 40 })) acked.push(result);
    equal(acked, done, "the results in the order of the acks");
  }),
  aCase("a page that names its generation shows no other one", {}, async (t) => {
    const [tracker, coordinator, id] = [t.tracker(), t.coordinator(), t.id()];
    const { generation } = await tracker.register(id, ["a"]);
    await tracker.ack(id, { id: "a", result: 1 });
    const of = async (named: number): Promise<number[]> => {
      const input = { after: 0, limit: 10, generation: named };
      const pages = [
        await coordinator.run("completion.tasks", id, input),
        await coordinator.run("completion.results", id, input),
      ];
      return pages.flatMap(({ found, items }) => (found ? [items.length] : []));
    };
    equal([await of(generation), await of(generation + 1)], [[1, 1], []], "this one, and one that never was");
    const second = await tracker.register(id, ["a"], { restart: { from: generation } });
    equal([await of(generation), await of(second.generation)], [[], [1, 0]], "the earlier one, and the new one");
  }),
  aCase("tasks without ids of the group's have no order, numbered ones that of their numbers", {}, async (t) => {
    const [tracker, counted, indexed] = [t.tracker(), t.id("counted"), t.id("indexed")];
    await tracker.register(counted, 3);
    await rejects(() => tracker.tasks(counted), "unsupported", "tasks that are only counted");
    const order = "registration" as const;
    await rejects(() => tracker.results(counted, { order }), "unsupported", "their results by registration");
    await tracker.register(indexed, { indexed: 3 });
    await tracker.ack(indexed, { id: 1, result: "one" });
    const items = present(await tracker.tasks(indexed), "the tasks").items;
    equal(
      items.map(({ taskId, state }) => [taskId, state]),
      [
        ["0", "open"],
        ["1", "succeeded"],
        ["2", "open"],
      ],
      "tasks",
    );
    const refused = (call: () => Promise<unknown>, field: string) => rejects(call, "invalid_input", field, field);
    await refused(() => tracker.tasks(indexed, { state: "late" as never }), "state");
    await refused(() => tracker.tasks(indexed, { limit: 0 }), "limit");
    await refused(() => tracker.results(indexed, { order: "names" as never }), "order");
    await refused(() => tracker.newer(indexed, "1", { timeoutMs: 0 }), "after");
  }),
  aCase("progress yields the current status first, then each newer one, and the end last", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b"], { open: true });
    const seen: GroupStatus[] = [];
    const follow = (async () => {
      for await (const status of t.tracker().progress(id)) {
        seen.push(status);
        if (seen.length === 1) await tracker.ack(id, "a");
        if (seen.length === 2) await tracker.seal(id).then(() => tracker.ack(id, "b"));
      }
    })();
    held(follow);
    await moving(follow, () => t.advance(200));
    equal([seen[0]?.succeeded, seen[1]?.succeeded, seen.at(-1)?.state], [0, 1, "completed"], "what it yields");
    equal(new Set(seen.map(({ version }) => version)).size, seen.length, "versions");
    equal(await tracker.status(id), seen.at(-1), "the end");
  }),
  aCase("progress goes on after a version, waits for a registration, and ends for a removed group", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = held(tracker.progress(id).next());
    await settle();
    const { version } = await tracker.register(id, ["a"]);
    matches((await moving(first, () => t.advance(1_100))).value, { version }, "a group that is registered later");
    const second = held(tracker.progress(id, { after: version }).next());
    await settle();
    await tracker.ack(id, "a");
    const { value } = await moving(second, () => t.advance(1_100));
    matches(value, { state: "completed" }, "the end");
    const again = await tracker.progress(id, { after: present(value as GroupStatus, "the end").version }).next();
    matches(again.value, { state: "completed" }, "the end, for a caller that has seen it");
    const controller = new AbortController();
    const unknown = held(tracker.progress(t.id("none"), { signal: controller.signal }).next());
    await settle();
    const reason = new Error("gone");
    controller.abort(reason);
    equal(await unknown.catch((error: unknown) => error === reason), true, "the signal's reason");
  }),
  aCase("a follower's version differs after a restart, so that none of its changes is missed", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { version, generation } = await tracker.register(id, ["a"]);
    const news = held(tracker.newer(id, version, { timeoutMs: 20_000 }));
    await settle();
    await tracker.register(id, ["a"], { restart: { from: generation } });
    const next = present(await moving(news, () => t.advance(1_100)), "the news");
    isTrue(next.generation > generation, "the next generation");
  }),
  aCase("a signal aborts when its group ends, with the status as the reason", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"]);
    const [signal, disposed] = [tracker.signal(id), tracker.signal(id)];
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await settle();
    equal(signal.aborted, false, "while the group is open");
    disposed.dispose();
    await settle();
    await tracker.ack(id, "a");
    await moving(aborted, () => t.advance(1_100));
    const { name, status } = signal.reason as { readonly name: string; readonly status: GroupStatus | null };
    equal([name, status?.state], ["GroupEnded", "completed"], "the reason");
    signal.dispose();
    await settle();
    equal(disposed.aborted, false, "a signal that was disposed of");
    const late = tracker.signal(id);
    await moving(
      new Promise<void>((resolve) => (late.aborted ? resolve() : late.addEventListener("abort", () => resolve()))),
      () => t.advance(1_100),
    );
    late.dispose();
  }),
  aCase("a status names its stages, its times and its metadata", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const registered = await tracker.register(id, [{ id: "a", stage: "parse" }], { open: true, metadata: { user: 1 } });
    matches(registered, { lastAckAtMs: null, endedAtMs: null, sealed: false, errorCount: 0 }, "the registration");
    await t.advance(5_000);
    await tracker.ack(id, { id: "a", stage: "parse" }, { next: [{ id: "a", stage: "embed" }] });
    await t.advance(5_000);
    await tracker.fail(id, { id: "a", stage: "embed" }, "broken");
    const end = present(await tracker.seal(id), "the end");
    const none = { open: 0, processed: 0, requeueCount: 0 };
    const stages = {
      parse: { ...none, total: 1, succeeded: 1, failed: 0, errorCount: 0 },
      embed: { ...none, total: 1, succeeded: 0, failed: 1, errorCount: 1 },
    };
    const errors = [{ taskId: "a", stage: "embed", message: "broken" }];
    matches(end, { state: "completed", ok: false, stages, errors, errorCount: 1, metadata: { user: 1 } }, "the end");
    const { registeredAtMs, lastAckAtMs, endedAtMs } = end;
    equal(registeredAtMs, registered.registeredAtMs, "the time of the registration");
    isTrue(present(lastAckAtMs, "the last ack") >= registeredAtMs + 10_000, "the time of the last ack");
    isTrue(present(endedAtMs, "the end") >= present(lastAckAtMs, "the last ack"), "the time of the end");
  }),
];
