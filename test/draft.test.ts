import { describe, expect, it } from "vitest";
import { TransitionRefused } from "../src/core/host.js";
import type { Rows } from "../src/core/store.js";
import { openDraft } from "../src/core/transaction.js";

interface Head {
  n: number;
}

/** A stored record, and how often it is read. */
function rowsOf(head: object | undefined, members: Record<string, string> = {}) {
  const reads: string[][] = [];
  const rows: Rows = {
    readHead: () => (head === undefined ? undefined : JSON.stringify(head)),
    read: (names) => {
      reads.push([...names]);
      return names.map((name) => (Object.hasOwn(members, name) ? (members[name] ?? false) : false));
    },
  };
  return { rows, reads };
}

const live = { schema: 1, until: 2_000, wake: 1_500, fields: { n: 1 } };

describe("a draft", () => {
  it("reads without writing", () => {
    const { rows } = rowsOf(live, { "t:a": "x" });
    const draft = openDraft(rows, 1_000);
    expect(draft.store.head<Head>()).toEqual({ n: 1 });
    expect(draft.store.get("t:a")).toBe("x");
    expect(draft.store.get("t:b")).toBeUndefined();
    expect(draft.changes()).toMatchObject({
      dirty: false,
      cleared: false,
      head: undefined,
      names: [],
      notified: false,
      topics: [],
      events: [],
    });
  });

  it("reads each member once, many of them together", () => {
    const { rows, reads } = rowsOf(live, { "t:a": "x" });
    const { store } = openDraft(rows, 1_000);
    store.load(["t:a", "t:b"]);
    store.load(["t:a", "t:c"]);
    store.get("t:a");
    store.get("t:b");
    store.set("t:d", "y");
    store.get("t:d");
    expect(reads).toEqual([["t:a", "t:b"], ["t:c"]]);
  });

  it("asks for no member of a record that is not there", () => {
    const { rows, reads } = rowsOf(undefined);
    const { store } = openDraft(rows, 1_000);
    expect(store.head()).toBeUndefined();
    expect(store.get("t:a")).toBeUndefined();
    expect(reads).toEqual([]);
  });

  it("takes a record at its end as absent, and removes it by whatever is done", () => {
    const { rows, reads } = rowsOf(live, { "t:a": "x" });
    expect(openDraft(rows, 1_999).store.head()).toEqual({ n: 1 });
    const draft = openDraft(rows, 2_000);
    expect(draft.store.head()).toBeUndefined();
    expect(draft.store.get("t:a")).toBeUndefined();
    expect(reads).toEqual([]);
    expect(draft.changes()).toMatchObject({ dirty: true, cleared: true, head: undefined, wakeChanged: true });
  });

  it("sees its own writes, and hands each on once", () => {
    const { rows } = rowsOf(live, { "t:a": "x", "t:b": "x" });
    const draft = openDraft(rows, 1_000);
    draft.store.set("t:a", "y");
    draft.store.remove("t:a");
    draft.store.remove("t:b");
    draft.store.set("t:b", "z");
    expect(draft.store.get("t:a")).toBeUndefined();
    expect(draft.store.get("t:b")).toBe("z");
    expect(draft.changes()).toMatchObject({
      dirty: true,
      names: ["t:a", "t:b"],
      values: [false, "z"],
      head: undefined,
    });
  });

  it("keeps a head's change to itself until it is put", () => {
    const draft = openDraft(rowsOf(live).rows, 1_000);
    const head = draft.store.head<Head>();
    if (head !== undefined) head.n = 2;
    expect(draft.changes().dirty).toBe(false);
    draft.store.put({ n: 2 });
    expect(JSON.parse(draft.changes().head ?? "")).toEqual({ ...live, fields: { n: 2 } });
  });

  it("writes the head again when its end or its timer moves, and not when they stay", () => {
    const same = openDraft(rowsOf(live).rows, 1_000);
    same.store.keepUntil(2_000);
    same.store.wakeAt(1_500);
    expect(same.changes().dirty).toBe(false);
    const moved = openDraft(rowsOf(live).rows, 1_000);
    moved.store.keepUntil(undefined);
    moved.store.wakeAt(1_800);
    const { untilChanged, untilMs, wakeChanged, wakeAtMs, head } = moved.changes();
    expect([untilChanged, untilMs, wakeChanged, wakeAtMs]).toEqual([true, undefined, true, 1_800]);
    expect(JSON.parse(head ?? "")).toEqual({ schema: 1, wake: 1_800, fields: { n: 1 } });
  });

  it("begins anew after a clear: nothing that was stored or written before is left", () => {
    const { rows } = rowsOf(live, { "t:a": "x" });
    const draft = openDraft(rows, 1_000);
    draft.store.set("t:b", "y");
    draft.store.clear();
    expect(draft.store.head()).toBeUndefined();
    expect(draft.store.get("t:a")).toBeUndefined();
    expect(draft.store.get("t:b")).toBeUndefined();
    draft.store.put({ n: 9 });
    draft.store.set("t:c", "z");
    const changes = draft.changes();
    expect(changes).toMatchObject({
      dirty: true,
      cleared: true,
      names: ["t:c"],
      untilMs: undefined,
      wakeAtMs: undefined,
    });
    expect(JSON.parse(changes.head ?? "")).toEqual({ schema: 1, fields: { n: 9 } });
  });

  it("takes any name for a member's", () => {
    const { store } = openDraft(rowsOf(live, {}).rows, 1_000);
    for (const name of ["__proto__x", "t:__proto__", "constructor:", "toString:"]) {
      expect(store.get(name)).toBeUndefined();
      store.set(name, name);
      expect(store.get(name)).toBe(name);
    }
  });

  it("refuses a record of a later version", () => {
    const { rows } = rowsOf({ ...live, schema: 2 });
    expect(() => openDraft(rows, 1_000)).toThrow(TransitionRefused);
  });
});
