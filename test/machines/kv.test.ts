import { describe, expect, it } from "vitest";
import { MAX_ITEMS, MAX_MEMBERS } from "../../src/machines/kv.js";
import { Model } from "../differential/model.js";

const write = (op: string) => ({ op, ttlMs: 0 });

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
    expect(Object.keys(model.state()["kv:k"]?.members ?? {})).toHaveLength(MAX_MEMBERS);
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
    expect(Object.keys(model.state()["kv:k"]?.members ?? {})).toHaveLength(MAX_ITEMS);
  });

  it("remembers the last 32 calls", () => {
    const model = new Model();
    const incr = (op: string) =>
      model.apply({ nowMs: 1, transition: "kv.incr", id: "k", input: { ...write(op), delta: 1 } }).output;
    for (let i = 0; i < 33; i++) incr(`op${i}`);
    expect(incr("op1")).toEqual({ result: "2" });
    expect(incr("op32")).toEqual({ result: "33" });
    expect(incr("op0")).toEqual({ result: "34" });
  });
});
