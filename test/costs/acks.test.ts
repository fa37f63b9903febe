import { describe, expect, it } from "vitest";
import { CommandStats } from "../../bench/command-stats.js";
import { CompletionTracker, RequestWaitTracker } from "../../src/index.js";
import { useLab } from "../backends/upstash/support.js";

const ids = Array.from({ length: 40 }, (_, n) => `task-${n}`);
const lab = useLab();

/** EVALSHA, TIME, HMGET and HSET: the fewest that a script which reads and writes can take. */
const FEWEST = 4;
/** A group with a deadline has a line in the due queue: each write restores it. */
const DEADLINE = 1;

/** How many commands each ack takes. The first one may load the script and extend the record. */
async function commandsOf(acks: readonly (() => Promise<unknown>)[]): Promise<number> {
  await acks[0]?.();
  const stats = new CommandStats(lab.raw);
  await stats.reset();
  for (const ack of acks.slice(1)) await ack();
  return (await stats.total()) / (acks.length - 1);
}

describe("an ack of one task on Redis takes four commands, and one more for a deadline", () => {
  it("in a group of named tasks", async () => {
    const groups = new CompletionTracker(lab.coordinator());
    await groups.register("named", ids);
    expect(await commandsOf(ids.slice(1).map((id) => () => groups.ack("named", id)))).toBe(FEWEST + DEADLINE);
  });

  it("in a group of numbered tasks", async () => {
    const groups = new CompletionTracker(lab.coordinator());
    await groups.register("indexed", { indexed: 40 });
    const numbers = Array.from({ length: 39 }, (_, n) => n);
    expect(await commandsOf(numbers.map((n) => () => groups.ack("indexed", n)))).toBe(FEWEST + DEADLINE);
  });

  it("in a request, whose tasks have stages", async () => {
    const requests = new RequestWaitTracker(lab.coordinator(), { stages: ["parse"] });
    await requests.register("staged");
    await requests.add("staged", "parse", ids);
    expect(await commandsOf(ids.slice(1).map((id) => () => requests.ack("staged", "parse", id)))).toBe(FEWEST);
  });
});
