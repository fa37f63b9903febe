import { describe, expect, it } from "vitest";
import { CommandStats } from "../../bench/command-stats.js";
import { CompletionTracker } from "../../src/index.js";
import { useLab } from "../backends/upstash/support.js";

const TASKS = 1_000;
const ids = Array.from({ length: TASKS }, (_, n) => `task-${n}`);
/**
 * What the registration and the waiter take. The waiter reads the end from its message. The first line of a due queue
 * takes two commands to set the queue's end. An ack, of however many tasks, is one request and five commands.
 *
 * Seven of the commands are for the index: the registration takes four, and the group's end three. Two of each set the
 * index's end.
 */
const AROUND = { requests: 4, commands: 29 };
/** A waiter that hears nothing still reads: this often at most, for so many commands. */
const LOOK = { everyMs: 4_000, commands: 3 };
const lab = useLab();

interface Cost {
  readonly requests: number;
  readonly commands: number;
}

/** A group of 1,000 tasks with one waiter, which begins before the first ack. Leaves out reads in between. */
async function costOf(batch: number): Promise<Cost> {
  const groups = new CompletionTracker(lab.coordinator());
  const stats = new CommandStats(lab.raw);
  await stats.reset();
  lab.rest.requests.clear();
  await groups.register("g", ids);
  const answered = groups.wait("g", { timeoutMs: 150_000 });
  // The registration; the waiter's look, its subscription, and its look once that stands.
  await expect.poll(() => lab.rest.requests.count()).toBe(4);
  const sinceMs = performance.now();
  for (let n = 0; n < TASKS; n += batch) {
    if (batch === 1) await groups.ack("g", ids[n] ?? "");
    else await groups.ack("g", ids.slice(n, n + batch));
  }
  expect(await answered).toMatchObject({ state: "completed", succeeded: TASKS });
  const requests = lab.rest.requests.count();
  const looks = Math.max(0, requests - TASKS / batch - AROUND.requests);
  expect(looks).toBeLessThanOrEqual((performance.now() - sinceMs) / LOOK.everyMs);
  return { requests: requests - looks, commands: (await stats.total()) - looks * LOOK.commands };
}

describe("a group of 1,000 tasks with one waiter, on Redis", () => {
  it("takes 1,004 requests one by one: its tasks' and four more", async () => {
    expect(await costOf(1)).toEqual({ requests: TASKS + AROUND.requests, commands: 5 * TASKS + AROUND.commands });
  });

  it("takes 14 requests in batches of a hundred", async () => {
    expect(await costOf(100)).toEqual({ requests: 10 + AROUND.requests, commands: 5 * 10 + AROUND.commands });
  });
});
