import { describe, expect, it } from "vitest";
import { CompletionTracker, type Coordinator, MemoryCoordinator } from "../../src/index.js";
import { delaying, duplicating, losingReplies, refusing, seededRandom } from "../../src/testing/index.js";

/** A coordinator, and the inputs that reach it. */
function counted(): { coordinator: Coordinator; sent: [string, string][] } {
  const coordinator = new MemoryCoordinator();
  const sent: [string, string][] = [];
  const run = coordinator.run.bind(coordinator);
  coordinator.run = (transition, id, input, options) => {
    sent.push([transition, JSON.stringify(input)]);
    return run(transition, id, input, options);
  };
  return { coordinator, sent };
}

describe("fault wrappers", () => {
  it("lose a reply by sending the very same call again", async () => {
    const { coordinator, sent } = counted();
    const tracker = new CompletionTracker(losingReplies(coordinator));
    await tracker.register("g", 1);
    expect((await tracker.ack("g", "a")).ended).toBe(true);
    expect(sent.map(([transition]) => transition)).toEqual([
      "completion.register",
      "completion.register",
      "completion.ack",
      "completion.ack",
    ]);
    expect(sent[0]).toEqual(sent[1]);
    expect(sent[2]).toEqual(sent[3]);
  });

  it("do not resend a call that must not be resent: it is applied, and its outcome is unknown", async () => {
    const { coordinator, sent } = counted();
    const input = { op: "op", ttlMs: 60_000, delta: 1 };
    const call = losingReplies(coordinator).run("kv.incr", "n", input, { resend: false });
    await expect(call).rejects.toMatchObject({
      code: "backend_unavailable",
      applied: "unknown",
    });
    expect(sent).toHaveLength(1);
    expect(await coordinator.getInt("n")).toBe(1);
  });

  it("resend nothing when told so, though it would do no harm", async () => {
    const { coordinator, sent } = counted();
    const tracker = new CompletionTracker(losingReplies(coordinator, { resend: false }));
    await expect(tracker.register("g", 1)).rejects.toMatchObject({ retryable: true, applied: "unknown" });
    expect(sent).toHaveLength(1);
    expect((await new CompletionTracker(coordinator).status("g"))?.state).toBe("open");
  });

  it("refuse a call before anything is done", async () => {
    const { coordinator, sent } = counted();
    const refused = { code: "backend_unavailable", retryable: true, applied: "no" };
    await expect(refusing(coordinator).incr("n")).rejects.toMatchObject(refused);
    expect(sent).toEqual([]);
  });

  it("meet the named transitions alone, and so many of them", async () => {
    const { coordinator, sent } = counted();
    const faulty = duplicating(coordinator, { transitions: ["kv.incr"], everyNth: 2, times: 2 });
    for (let i = 0; i < 8; i++) {
      await faulty.getInt("n");
      await faulty.incr("n");
    }
    expect(sent.filter(([transition]) => transition === "kv.incr")).toHaveLength(10);
    expect(sent).toHaveLength(18);
  });

  it("hit every n-th call", async () => {
    const { coordinator, sent } = counted();
    const faulty = duplicating(coordinator, { everyNth: 3 });
    for (let i = 0; i < 6; i++) await faulty.incr("n");
    expect(sent).toHaveLength(8);
    expect(await coordinator.getInt("n")).toBe(6);
  });

  it("hit by a chance that the seed repeats", async () => {
    const hits = async (seed: number) => {
      const { coordinator, sent } = counted();
      const faulty = duplicating(coordinator, { seed, chance: 0.3 });
      for (let i = 0; i < 100; i++) await faulty.getInt("n");
      return sent.length - 100;
    };
    expect(await hits(1)).toBe(await hits(1));
    expect(await hits(1)).toBeGreaterThan(10);
    expect(await hits(1)).toBeLessThan(50);
  });

  it("let calls overtake each other, and lose none", async () => {
    const { coordinator, sent } = counted();
    const faulty = delaying(coordinator, { seed: 3 });
    const lengths = await Promise.all(Array.from({ length: 20 }, (_, i) => faulty.rpush("list", `${i}`)));
    const values = await coordinator.lrange("list");
    expect(sent).toHaveLength(21);
    expect([...lengths].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(values).not.toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    expect(new Set(values).size).toBe(20);
  });

  it("draw the same numbers from the same seed, from 0 to 1", () => {
    const draw = (seed: number) => Array.from({ length: 1_000 }, seededRandom(seed));
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7).every((n) => n >= 0 && n < 1)).toBe(true);
  });
});
