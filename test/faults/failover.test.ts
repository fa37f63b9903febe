import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { RequestWaitTracker } from "../../src/index.js";
import { FailoverRedis } from "../support/failover-redis.js";
import { count, reached, runs } from "../support/figures.js";
import { FailoverRound, type RoundReport } from "./failover-round.js";

const ROUNDS = runs("T7", 5);
const FROM = Number(process.env.FAILOVER_SEED ?? 1);
const TOKEN = randomBytes(8).toString("hex");

let redis: FailoverRedis;
beforeAll(async () => {
  redis = await FailoverRedis.start(TOKEN);
});
afterAll(() => redis.close());

it(`a failover that loses the last writes completes nothing falsely, and acks that come again repair it, seeds ${FROM} to ${FROM + ROUNDS - 1}`, {
  timeout: 30_000 + 30_000 * ROUNDS,
}, async ({ task }) => {
  const reports: RoundReport[] = [];
  for (let seed = FROM; seed < FROM + ROUNDS; seed++) {
    reports.push(await new FailoverRound(redis, TOKEN, seed).run());
  }
  const sum = (name: keyof RoundReport) => reports.reduce((total, report) => total + report[name], 0);
  reached(task, {
    row: "T7",
    backend: "upstash",
    reached:
      `${count(ROUNDS)} failovers, clocks up to 1.5 s apart, ${count(sum("groups"))} groups: 0 false completions, all repaired; lost were ` +
      `${count(sum("lostAcks"))} acks, ${count(sum("lostRegistrations"))} registrations, ${count(sum("lostRestarts"))} restarts, ` +
      `${count(sum("lostMarks"))} marks; ${count(sum("repeats"))} deliveries came again`,
  });
  // Or nothing was shown.
  expect(sum("lostAcks")).toBeGreaterThan(0);
});

it("a failover can take the last of a request's tasks alone, where each came by a call of its own", async () => {
  const coordinator = new UpstashCoordinator({ url: redis.url, token: TOKEN, keyPrefix: "tasks:", keyLocking: false });
  const requests = new RequestWaitTracker(coordinator, { stages: ["fetch"] });
  await redis.replicate();
  for (const id of ["together", "apart"]) await requests.register(id);
  await requests.add("apart", "fetch", "kept");
  await redis.settle();
  redis.cut();
  await requests.add("together", "fetch", ["kept", "lost"]);
  await requests.add("apart", "fetch", "lost");
  await redis.failOver();
  expect(await requests.ack("together", "fetch", "kept")).toEqual({ verdict: "early", state: "pending" });
  expect(await requests.ack("apart", "fetch", "kept")).toEqual({ verdict: "accepted", state: "complete" });
  // Until its caller registers it again.
  expect(await requests.add("apart", "fetch", "lost")).toMatchObject({
    outcome: "added",
    added: ["lost"],
    status: { state: "pending" },
  });
});
