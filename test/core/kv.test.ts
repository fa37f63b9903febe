import { describe, expect, it } from "vitest";
import { MAX_ITEMS, MAX_MEMBERS } from "../../src/core/kv.js";
import { Model } from "../differential/model.js";
import { T0 } from "./bench.js";

const write = (op: string) => ({ op, ttlMs: 0 });

const membersOf = (model: Model, prefix: string): string[] =>
  Object.keys(model.state()["kv:k"]?.members ?? {}).filter((name) => name.startsWith(prefix));

describe("the machine of raw keys", () => {
  it("refuses a member too many, and stores nothing of the call", () => {
    const model = new Model();
    const run = (transition: "kv.sadd" | "kv.srem" | "kv.scard", input: Record<string, unknown>) =>
      model.apply({ nowMs: 1, transition, id: "k", input }).output;
    for (let from = 0; from < MAX_MEMBERS; from += 10_000) {
      run("kv.sadd", { ...write(`fill${from}`), members: Array.from({ length: 10_000 }, (_, i) => `m${from + i}`) });
    }
    expect(run("kv.scard", {})).toEqual({ result: "100000" });
    expect(run("kv.sadd", { ...write("more"), members: ["m0", "new"] })).toEqual({ refused: "full" });
    expect(run("kv.sadd", { ...write("same"), members: ["m0", "m0"] })).toEqual({ result: "0" });
    expect(membersOf(model, "m:")).toHaveLength(MAX_MEMBERS);
    expect(run("kv.srem", { ...write("less"), members: ["m0"] })).toEqual({ result: "1" });
    expect(run("kv.sadd", { ...write("again"), members: ["new"] })).toEqual({ result: "1" });
  });

  it("refuses an item too many, and stores nothing of the call", () => {
    const model = new Model();
    const push = (op: string, values: string[]) =>
      model.apply({ nowMs: 1, transition: "kv.rpush", id: "k", input: { ...write(op), values } }).output;
    expect(push("fill", new Array<string>(MAX_ITEMS - 1).fill("x"))).toEqual({ result: `${MAX_ITEMS - 1}` });
    expect(push("two", ["y", "z"])).toEqual({ refused: "full" });
    expect(push("one", ["y"])).toEqual({ result: `${MAX_ITEMS}` });
    expect(membersOf(model, "i:")).toHaveLength(MAX_ITEMS);
  });

  it("knows the calls of the last minute, however many came in between", () => {
    const model = new Model();
    const incr = (op: string, nowMs: number) =>
      model.apply({ nowMs, transition: "kv.incr", id: "k", input: { ...write(op), delta: 1 } }).output;
    for (let i = 0; i < 2_000; i++) incr(`op${i}`, T0 + i);
    expect(incr("op0", T0 + 59_000)).toEqual({ result: "1" });
    expect(incr("op1999", T0 + 59_000)).toEqual({ result: "2000" });
    for (let i = 0; i < 600; i++) incr(`later${i}`, T0 + 120_000);
    expect(membersOf(model, "x:")).toHaveLength(600);
  });
});
