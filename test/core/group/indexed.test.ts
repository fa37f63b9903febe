import { describe, expect, it } from "vitest";
import { MAX_CALLS } from "../../../src/core/group/acks.js";
import type { InputOf } from "../../../src/core/registry.js";
import { seededRandom } from "../../../src/testing/index.js";
import { bench, registration } from "../bench.js";

const indexed = (total: number): InputOf<"completion.register"> => registration({ kind: "indexed", total });
const ack = (op: string, ids: readonly (string | number)[]): InputOf<"completion.ack"> => ({
  op,
  tasks: ids.map((id) => ({ id: String(id) })),
  earlyTtlMs: 300_000,
});

describe("a group of numbered tasks", () => {
  it("agrees with a set of numbers, whatever comes in whichever order, again too", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const below = (n: number) => Math.floor(random() * n);
      const total = 1 + below(600);
      const { run } = bench();
      run("completion.register", indexed(total));
      const counted = new Set<number>();
      const calls: { op: string; ids: number[]; said: unknown }[] = [];
      for (let i = 0; i < 60; i++) {
        const again = random() < 0.2 ? calls[below(calls.length)] : undefined;
        const ids = again?.ids ?? Array.from({ length: 1 + below(20) }, () => below(total + 2));
        const op = again?.op ?? `op${i}`;
        const verdicts = run("completion.ack", ack(op, ids)).results.map(({ verdict }) => verdict);
        if (again !== undefined) {
          expect([seed, i, verdicts]).toEqual([seed, i, again.said]);
          continue;
        }
        const isOver = counted.size === total;
        const expected = ids.map((id) => {
          if (id >= total) return "unknown";
          if (counted.has(id)) return "duplicate";
          counted.add(id);
          return "accepted";
        });
        expect([seed, i, verdicts]).toEqual([seed, i, expected]);
        if (!isOver) calls.push({ op, ids, said: verdicts });
        expect(run("completion.status", {}).view).toMatchObject({ succeeded: counted.size });
      }
    }
  });

  it("counts the task of a late copy whose early ack had expired, where another task of the call has counted", () => {
    const { run, pass } = bench();
    const first = { ...ack("x", [0, 1]), earlyTtlMs: 1_000 };
    run("completion.ack", first);
    // Keeps the early ack of task 0 longer.
    run("completion.ack", ack("y", [0]));
    pass(2_000);
    expect(run("completion.register", indexed(3)).view).toMatchObject({ succeeded: 1 });
    expect(run("completion.ack", first).results.map(({ verdict }) => verdict)).toEqual(["accepted", "accepted"]);
    expect(run("completion.status", {}).view).toMatchObject({ succeeded: 2 });
    expect(run("completion.ack", first).results.map(({ verdict }) => verdict)).toEqual(["accepted", "accepted"]);
    expect(run("completion.ack", ack("z", [0, 1])).results.map(({ verdict }) => verdict)).toEqual([
      "duplicate",
      "duplicate",
    ]);
    expect(run("completion.status", {}).view).toMatchObject({ succeeded: 2 });
  });

  it("stores a byte a task, and the calls of a minute, 10,000 of them at most", () => {
    const { run, pass, record } = bench();
    run("completion.register", indexed(100_000));
    for (let from = 0; from < 100_000; from += 8) {
      run(
        "completion.ack",
        ack(
          `op${from}`,
          Array.from({ length: 8 }, (_, i) => from + i),
        ),
      );
    }
    const members = Object.entries(record("completion")?.members ?? {});
    const bytesOf = (prefix: string) =>
      members.filter(([name]) => name.startsWith(prefix)).reduce((sum, [, value]) => sum + String(value).length, 0);
    expect(bytesOf("b:")).toBe(Math.ceil(100_000 / 256) * 256);
    expect(members.filter(([name]) => name.startsWith("x:"))).toHaveLength(MAX_CALLS);
    expect(members.filter(([name]) => name.startsWith("t:"))).toHaveLength(0);
    pass(60_001);
    for (let i = 0; i < 300; i++) run("completion.ack", ack(`late${i}`, [0]));
    expect(run("completion.status", {}).view).toMatchObject({ state: "completed", remaining: 0 });
  });
});
