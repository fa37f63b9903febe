import { describe, expect, it } from "vitest";
import { CompletionTracker, type GroupStatus, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";

function lab() {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const groups = new CompletionTracker(coordinator, { timeoutSec: 0, ttlSec: 1 });
  const requests = new RequestWaitTracker(coordinator, { stages: ["parse"], ttlSec: 2 });
  return { clock, coordinator, groups, requests };
}

/** The work's outcome once it has one. */
function outcomeOf<T>(work: Promise<T>): { value?: T; error?: unknown } {
  const outcome: { value?: T; error?: unknown } = {};
  work.then(
    (value) => Object.assign(outcome, { value }),
    (error: unknown) => Object.assign(outcome, { error }),
  );
  return outcome;
}

describe("row 57: a group without a deadline", () => {
  it("that is waited for stays open for longer than its TTL, and ends by its ack", async () => {
    const { clock, groups } = lab();
    const states: string[] = [];
    const onEnd = ({ state }: GroupStatus) => void states.push(state);
    await groups.register("g", ["a"], { onEnd });
    const waiting = outcomeOf(groups.wait("g", { timeoutMs: 60_000 }));
    await clock.advance(30_000);
    expect((await groups.status("g"))?.state).toBe("open");
    expect(await groups.ack("g", "a")).toMatchObject({ verdict: "accepted", ended: true });
    await settle();
    expect([waiting.value?.state, states]).toEqual(["completed", ["completed"]]);
  });

  it("that no caller waits for ends as timed out, and calls its plain function then", async () => {
    const { clock, groups } = lab();
    const ended: [string, number][] = [];
    const startMs = clock.now();
    await groups.register("g", ["a"], { onEnd: ({ state }) => void ended.push([state, clock.now() - startMs]) });
    await clock.advance(900);
    await groups.ack("g", "stranger");
    await clock.advance(900);
    expect(ended).toEqual([["timed_out", 1_000]]);
    expect((await groups.ack("g", "a")).verdict).toBe("late");
    expect(clock.pending).toBe(0);
  });

  it("whose waiter gives up ends a TTL after its last look", async () => {
    const { clock, groups } = lab();
    await groups.register("g", ["a"]);
    const waiting = outcomeOf(groups.wait("g", { timeoutMs: 10_000 }));
    await clock.advance(10_000);
    expect(waiting.value).toMatchObject({ state: "open", remaining: 1 });
    await clock.advance(700);
    expect((await groups.status("g"))?.state).toBe("open");
    await clock.advance(300);
    expect((await groups.status("g"))?.state).toBe("timed_out");
  });

  it("calls its handlers at the instant at which it ends, after any number of acks", async () => {
    const { clock, coordinator } = lab();
    const ended: [string, number][] = [];
    const startMs = clock.now();
    const handlers = { publish: ({ type }: { type: string }) => void ended.push([type, clock.now() - startMs]) };
    const groups = new CompletionTracker(coordinator, { timeoutSec: 0, ttlSec: 60, handlers });
    await groups.register("g", 1_000, { onEnd: { handler: "publish" } });
    for (let i = 0; i < 100; i++) {
      await clock.advance(7_000);
      await groups.ack("g", `t${i}`);
    }
    expect(ended).toEqual([]);
    await clock.advance(60_000);
    expect(ended).toEqual([["group.timed_out", 760_000]]);
  });
});

describe("row 55: a request", () => {
  it("that is followed lives on, as one does that is waited for", async () => {
    for (const follow of ["progress", "wait"]) {
      const { clock, requests } = lab();
      await requests.register("r");
      await requests.add("r", "parse", "a");
      const { version = "" } = (await requests.status("r")) ?? {};
      const options = { timeoutMs: 60_000 };
      const news =
        follow === "progress"
          ? outcomeOf<unknown>(requests.progress("r", { after: version }).next())
          : outcomeOf<unknown>(requests.wait("r", options));
      await clock.advance(30_000);
      expect([follow, news]).toEqual([follow, {}]);
      expect(await requests.ack("r", "parse", "a")).toEqual({ verdict: "accepted", state: "complete" });
      await settle();
      expect(news.value).toBeDefined();
    }
  });
});
