import { describe, expect, it } from "vitest";
import type { InputOf, OutputOf } from "../../../src/core/registry.js";
import { ack, type Bench, bench, named, T0, TARGET } from "../bench.js";

const KEY = "completion parent task";
const parent = (generation?: number) => ({ key: KEY, body: "{}", ...(generation === undefined ? {} : { generation }) });
const view = ({ run }: Bench) => run("completion.status", {}).view;
const cancel = (b: Bench, more: Partial<InputOf<"completion.cancelChild">> = {}) =>
  b.run("completion.cancelChild", { reason: "its parent has ended", key: KEY, generation: 7, ttlMs: 600_000, ...more })
    .cancelled;

describe("rule 16: the cancellation that a parent sends to its child", () => {
  it("cancels an open child that names this parent and this task, and owes the parent nothing", () => {
    const b = bench();
    b.run("completion.register", named(["a"], { parent: parent(), targets: { end: TARGET } }));
    expect(cancel(b)).toBe(true);
    expect(view(b)).toMatchObject({ state: "cancelled", reason: "its parent has ended" });
    expect(b.run("completion.woken", { routes: ["handler:x", "task"] }).claims).toMatchObject([{ route: "handler:x" }]);
    expect(cancel(b)).toBe(false);
  });

  it("outlives the child that it cancelled at its registration: the next registration begins cancelled too", () => {
    const b = bench();
    const child = (op: string) => named(["a"], { op, parent: parent(), ttlMs: 60_000 });
    cancel(b);
    expect(b.run("completion.register", child("first")).view?.state).toBe("cancelled");
    b.pass(300_000);
    const next = b.run("completion.register", child("next")).view;
    expect(next?.state).toBe("cancelled");
    b.pass(400_000);
    expect(b.run("completion.register", child("last")).view?.state).toBe("open");
  });

  it.each([
    ["a group without a parent", named(["a"])],
    ["the child of another task", named(["a"], { parent: { ...parent(), key: "another" } })],
    ["a child of a later generation of its parent", named(["a"], { parent: parent(8) })],
  ])("spares %s", (_, registration) => {
    const b = bench();
    b.run("completion.register", registration);
    expect(cancel(b)).toBe(false);
    expect(view(b)?.state).toBe("open");
  });

  it.each([7, 6])("cancels a child of generation %i of its parent when generation 7 has ended", (generation) => {
    const b = bench();
    b.run("completion.register", named(["a"], { parent: parent(generation) }));
    expect(cancel(b)).toBe(true);
  });

  it("leaves a child that has ended as it is", () => {
    const b = bench();
    b.run("completion.register", named(["a"], { parent: parent() }));
    b.run("completion.ack", ack("x", "a"));
    expect(cancel(b)).toBe(false);
    expect(view(b)?.state).toBe("completed");
  });
});

describe("rule 17: a cancellation that comes before the registration", () => {
  it("begins a child cancelled, with its early acks, within the time that it is kept", () => {
    const b = bench();
    b.run("completion.ack", ack("x", "a"));
    expect(cancel(b)).toBe(false);
    expect(b.run("completion.status", {})).toEqual("(empty)");
    b.pass(299_999);
    const { view: begun } = b.run(
      "completion.register",
      named(["a", "b"], { parent: parent(), targets: { end: TARGET } }),
    );
    expect(begun).toMatchObject({ state: "cancelled", reason: "its parent has ended", succeeded: 1 });
    expect(b.run("completion.woken", { routes: ["handler:x", "task"] }).claims).toMatchObject([
      { route: "handler:x", type: "group.cancelled" },
    ]);
  });

  it.each([
    ["its time is over", 600_000, { parent: parent() }],
    ["it names another task", 0, { parent: { ...parent(), key: "another" } }],
    ["the child belongs to a later generation of the parent", 0, { parent: parent(8) }],
    ["the child has no parent", 0, {}],
  ])("does nothing when %s", (_, ms, registration) => {
    const b = bench();
    cancel(b);
    b.pass(ms);
    const { view: begun } = b.run("completion.register", named(["a"], registration));
    expect(begun?.state).toBe("open");
  });

  it("is kept by a child that stands: a restart for the generation that ended begins cancelled", () => {
    const b = bench();
    b.run("completion.register", named(["a"], { parent: parent(7) }));
    b.run("completion.ack", ack("x", "a"));
    cancel(b);
    const again = (op: string, generation: number) =>
      b.run("completion.register", named(["b"], { op, fingerprint: op, parent: parent(generation), restart: {} })).view;
    expect(again("r1", 7)?.state).toBe("cancelled");
    expect(again("r2", 8)?.state).toBe("open");
  });

  it("keeps its record for its own time alone", () => {
    const b = bench();
    cancel(b, { ttlMs: 1_000 });
    cancel(b, { ttlMs: 500 });
    expect(b.record("completion")?.untilMs).toBe(T0 + 1_000);
  });
});

describe("the children of a group that is open", () => {
  const child = (id: string) => ({ id, machine: "completion" as const, groupId: `child-${id}` });
  const registered = (): Bench => {
    const b = bench();
    const children = ["a", "b", "c"].map(child);
    b.run("completion.register", named(["a", "b", "c", "d"], { grows: true, children }));
    b.run("completion.add", { op: "more", lists: ['["","e"]'], children: [child("e")] });
    return b;
  };
  const idsOf = (page: OutputOf<"completion.children">): string[] =>
    Array.isArray(page.items) ? page.items.map(({ id }) => id) : [];

  it("are those of its open tasks, of every call that announced some", () => {
    const b = registered();
    expect(idsOf(b.run("completion.children", { after: 0, limit: 10 }))).toEqual(["a", "b", "c", "e"]);
    b.run("completion.ack", ack("ack", "b"));
    expect(idsOf(b.run("completion.children", { after: 0, limit: 10 }))).toEqual(["a", "c", "e"]);
  });

  const all = (b: Bench, limit: number): string[] => {
    const found: string[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: OutputOf<"completion.children"> = b.run("completion.children", { after, limit });
      found.push(...idsOf(page));
      after = page.next;
    }
    return found;
  };

  it("come page by page", () => {
    expect(all(registered(), 2)).toEqual(["a", "b", "c", "e"]);
  });

  it("are all there when one call has announced more than a list holds", () => {
    const b = bench();
    const ids = Array.from({ length: 2_500 }, (_, i) => `t${i}`);
    const lists = Array.from({ length: Math.ceil(ids.length / 64) }, (_, i) =>
      JSON.stringify(["", ...ids.slice(64 * i, 64 * i + 64)]),
    );
    b.run("completion.register", named([], { lists, grows: true, children: ids.map(child) }));
    b.run("completion.add", { op: "more", lists: ['["","last"]'], children: [child("last")] });
    expect(all(b, 100)).toEqual([...ids, "last"]);
  });

  it("are looked for in bounded pages, though all have settled", () => {
    const b = bench();
    const ids = Array.from({ length: 3_000 }, (_, i) => `t${i}`);
    const lists = Array.from({ length: Math.ceil(ids.length / 64) }, (_, i) =>
      JSON.stringify(["", ...ids.slice(64 * i, 64 * i + 64)]),
    );
    b.run("completion.register", named([], { lists, grows: true, children: ids.map(child) }));
    b.run("completion.ack", ack("acks", ...ids.slice(0, 2_999)));
    const page = b.run("completion.children", { after: 0, limit: 1 });
    expect(page).toMatchObject({ next: 1_024 });
    expect(idsOf(page)).toEqual([]);
    expect(all(b, 1)).toEqual(["t2999"]);
    // A number of lists that the caller made up costs one look.
    expect(b.run("completion.children", { chain: 1, lists: 1_000_000_000, after: 0, limit: 1 })).toEqual({
      items: "(empty)",
    });
  });

  it("are none for a group without any, and for an unknown one", () => {
    const b = bench();
    expect(idsOf(b.run("completion.children", { after: 0, limit: 10 }))).toEqual([]);
    b.run("completion.register", named(["a"]));
    expect(idsOf(b.run("completion.children", { after: 0, limit: 10 }))).toEqual([]);
  });
});

describe("rule 20: the outbox holds a delivery for each generation and kind", () => {
  const ended = () => {
    const b = bench();
    const children = [{ id: "a", machine: "completion" as const, groupId: "child" }];
    b.run("completion.register", named(["a"], { parent: parent(), targets: { end: TARGET }, children }));
    b.run("completion.cancel", { reason: "enough" });
    return b;
  };
  const routes = ["handler:x", "task", "cascade"];
  const retry = { maxAttempts: 2, baseDelayMs: 0, maxDelayMs: 0 };
  type Claim = OutputOf<"completion.woken">["claims"][number];
  const claims = (b: Bench): Claim[] => b.run("completion.woken", { routes, retry }).claims;
  const settle = (b: Bench, { key, fence }: Claim, more: { error?: string; rest?: string; final?: boolean } = {}) =>
    b.run("completion.settle", { key, fence, retry, random: 0, ...more }).settled;

  it("has the callback, the parent's task and the cascade in one record, each settled by its own key", () => {
    const b = ended();
    const generation = view(b)?.generation;
    const all = claims(b);
    expect(all.map(({ key, route, deliveryId }) => [key, route, deliveryId])).toEqual([
      [`${generation}`, "handler:x", "msg_1"],
      [`${generation}-parent`, "task", "msg_1-parent"],
      [`${generation}-cascade`, "cascade", "msg_1-cascade"],
    ]);
    expect(all.map((claim) => settle(b, claim, claim.route === "task" ? { error: "gone", final: true } : {}))).toEqual([
      true,
      true,
      true,
    ]);
    expect(view(b)?.delivery).toMatchObject({ state: "delivered", attempts: 1 });
    expect(b.record("completion")?.head).toMatchObject({
      fields: { outbox: { dead: [{ key: `${generation}-parent` }] } },
    });
  });

  it.each([
    ["the group begins anew", (b: Bench) => b.run("completion.register", named(["z"], { op: "again", restart: {} }))],
    [
      "its removed group keeps its outbox alone",
      (b: Bench) => {
        b.run("completion.remove", { op: "gone" });
        b.pass(61_000);
      },
    ],
  ])("keeps the children of a cascade that is pending while %s", (_, meanwhile) => {
    const b = ended();
    meanwhile(b);
    const cascade = Array.from(claims(b)).find(({ route }) => route === "cascade");
    const { chain, lists } = (cascade?.body ?? {}) as { chain: number; lists: number };
    expect(b.run("completion.children", { chain, lists, after: 0, limit: 10 })).toMatchObject({
      items: [{ groupId: "child" }],
    });
  });

  it("queues all of them again, dead or delivered, with a full number of attempts", () => {
    const b = ended();
    for (const claim of claims(b)) settle(b, claim, { error: "broken", final: claim.route === "task" });
    for (const claim of claims(b)) settle(b, claim, claim.route === "cascade" ? { error: "broken" } : {});
    expect(claims(b)).toEqual("(empty)");
    b.run("completion.redeliver", { op: "again" });
    const all = claims(b);
    expect(all.map(({ route, attempt }) => [route, attempt]).sort()).toEqual([
      ["cascade", 3],
      ["handler:x", 3],
      ["task", 2],
    ]);
    // The first of two attempts has failed: one is left to each.
    for (const claim of all) settle(b, claim, { error: "broken" });
    expect(claims(b)).toHaveLength(3);
  });

  it("goes on with the rest of a delivery, at once and with a full number of attempts", () => {
    const b = ended();
    const [, , first] = claims(b);
    const cascade = () => claims(b).find(({ route }) => route === "cascade");
    settle(b, first as Claim, { error: "broken" });
    let claim = cascade();
    expect(claim).toMatchObject({ attempt: 2, body: first?.body });
    for (let part = 1; part <= 5; part++) {
      expect(settle(b, claim as Claim, { rest: `{"part":${part}}` })).toBe(true);
      claim = cascade();
      expect(claim).toMatchObject({ attempt: 2 * part + 1, body: { part } });
      // One failure for each part: no part is a last attempt.
      settle(b, claim as Claim, { error: "broken" });
      claim = cascade();
      expect(claim).toMatchObject({ attempt: 2 * part + 2, body: { part } });
    }
    settle(b, claim as Claim, { error: "broken" });
    expect(claims(b)).toEqual("(empty)");
    expect(b.record("completion")?.head).toMatchObject({ fields: { outbox: { dead: [{ key: claim?.key }] } } });
  });
});

describe("the parent in a status", () => {
  const read = (more: Partial<InputOf<"completion.register">>): readonly string[] => {
    const b = bench();
    b.run("completion.register", named(["a"], { targets: { end: TARGET }, ...more }));
    return b.reads("completion.status", {});
  };

  it("is read where there is one, and no other status reads the targets beside it", () => {
    expect(read({ parent: parent() })).toContain("reg");
    expect(read({})).not.toContain("reg");
  });

  it("is that of the generation: a restart in place has its own, or none", () => {
    const b = bench();
    const parentOf = (taskId: string) => ({ key: KEY, body: JSON.stringify({ taskId }) });
    const begin = (op: string, more: Partial<InputOf<"completion.register">>) => {
      const from = b.run("completion.status", {}).view?.generation;
      const restart = from === undefined ? {} : { restart: { from, keep: "succeeded" as const } };
      b.run("completion.register", named(["a"], { op, fingerprint: op, ...restart, ...more }));
      return view(b)?.parent;
    };
    expect(begin("first", { parent: parentOf("a") })).toEqual({ taskId: "a" });
    expect(begin("second", { targets: { end: TARGET } })).toBeUndefined();
    expect(begin("third", { parent: parentOf("b") })).toEqual({ taskId: "b" });
  });
});
