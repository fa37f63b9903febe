import { describe, expect, it } from "vitest";
import * as z from "zod/mini";
import { acksBody, groupBody, requestTasksBody } from "../../worker/schemas/bodies.js";
import { list } from "../../worker/schemas/fields.js";
import { parse } from "../../worker/schemas/parse.js";
import { INPUTS } from "../../worker/schemas/transitions.js";

/** A text as long as an id may be, which is none: half of a surrogate pair. */
const HALF = `${"x".repeat(200)}\ud800`;

describe("row 78: the cost of a list that is refused", () => {
  it("row 78: the items behind the first wrong one are not looked at", () => {
    const looked: unknown[] = [];
    const item = z.unknown().check(z.refine((value) => looked.push(value) > 0 && value !== "wrong"));
    const items = ["a", "b", "wrong", ...Array(10_000).fill("wrong")];
    expect(() => parse(z.strictObject({ items: list(item, 0, 100_000) }), { items })).toThrow("items[2] is invalid");
    expect(looked).toEqual(["a", "b", "wrong"]);
  });

  it("row 78: a list that is too long is not looked through", () => {
    const looked: unknown[] = [];
    const item = z.unknown().check(z.refine((value) => looked.push(value) > 0));
    expect(() => parse(z.strictObject({ items: list(item, 1, 2) }), { items: [1, 2, 3] })).toThrow("must hold 1 to 2");
    expect(looked).toEqual([]);
  });

  const op = { op: "op" };
  it.each([
    ["a group's tasks", groupBody, (ids: string[]) => ({ tasks: ids }), "tasks[1].id"],
    ["acks", acksBody, (ids: string[]) => ({ tasks: ids }), "tasks[1].id"],
    ["a request's tasks", requestTasksBody, (ids: string[]) => ({ stage: "s", taskIds: ids }), "taskIds[1]"],
    [
      "lists",
      INPUTS["request.add"],
      (ids: string[]) => ({ ...op, lists: ids.map((each) => JSON.stringify(["s", each])) }),
      "lists[1]",
    ],
    ["members", INPUTS["kv.sadd"], (ids: string[]) => ({ ...op, ttlMs: 1, members: ids }), "members[1]"],
    [
      "acked tasks",
      INPUTS["completion.ack"],
      (ids: string[]) => ({ ...op, earlyTtlMs: 1, tasks: ids.map((each) => ({ id: each })) }),
      "tasks[1].id",
    ],
  ] as const)("row 78: the first wrong one of %s is named", (_, schema, bodyOf, field) => {
    const ids = ["fine", HALF, ...Array<string>(900).fill(HALF)];
    expect(() => parse(schema, bodyOf(ids))).toThrow(`${field} must be`);
  });

  it("takes what it took before, and hands it on", () => {
    expect(parse(acksBody, { tasks: ["a", 5, { id: "b", result: 1 }] })).toEqual({
      tasks: [{ id: "a" }, { id: 5 }, { id: "b", result: 1 }],
    });
  });
});
