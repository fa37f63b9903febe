import { bareRedis } from "../arms/polling.js";
import { BUCKET, LIMIT_ARMS, type Limit, OURS, QUOTA, SLIDING } from "../arms/turns.js";
import type { Bench, Measure } from "../bench.js";
import type { Address, Lab } from "../lab.js";
import { figure, type Result, ratio } from "../result.js";
import { CLIENTS, concurrently, race, type Times } from "../rounds.js";
import { ratios, spreadOf } from "../statistics.js";

const INCR = "bare INCR, the same client";
const BARE = "bare Durable Object RPC, a counter";
const OBJECT = "ours, RateLimiter on a Durable Object";
/** So many keys, as a service has users. */
const KEYS = 1_000;
/** How many calls are counted. */
const CALLS = 100;

/** What a call of a rate limiter costs, and how many a second there are. */
export const turnsLimits: Measure = {
  name: "turns-limits",
  title: "A call of a rate limiter",
  async run(bench) {
    await bench.lab.setRtt(0);
    const counted = await counts(bench.lab);
    const times = await speeds(bench);
    return [
      ...over(times, SLIDING, [OURS]),
      ...over(times, BUCKET, [OURS]),
      ...over(times, INCR, [OURS, SLIDING, BUCKET]),
      ...over(times, BARE, [OBJECT]),
      ...counted,
    ];
  },
};

function speeds(bench: Bench): Promise<Times> {
  const { lab } = bench;
  const bare = bareRedis(lab.rest);
  const remote = LIMIT_ARMS.map(({ name, make }) => {
    const instances = Array.from({ length: CLIENTS }, () => make(lab.rest, QUOTA.ample));
    const call = (n: number, client: number) => (instances[client] as Limit)(`user-${n % KEYS}`);
    return { name, run: (operations: number) => concurrently(operations, call) };
  });
  return race(bench, [
    { name: INCR, run: (operations) => concurrently(operations, (n) => bare.incr(`user-${n % KEYS}`)) },
    ...remote,
    { name: BARE, run: (operations) => lab.worker.do("bare", { operations, clients: CLIENTS }) },
    { name: OBJECT, run: (operations) => lab.worker.do("limits", { operations, clients: CLIENTS }) },
  ]);
}

/** How much faster than the other each arm is; slower ones have less than 1. */
function over(times: Times, other: string, arms: readonly string[]): Result[] {
  return arms.map((arm) => {
    const speed = spreadOf(ratios(times.get(other) ?? [], times.get(arm) ?? []));
    return ratio(speed, { what: `throughput over: ${other}`, arm });
  });
}

async function counts(lab: Lab): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name: arm, make } of LIMIT_ARMS) {
    await lab.clear();
    const allowed = await callsOf(lab, (address) => make(address, QUOTA.ample));
    const denied = await callsOf(lab, (address) => make(address, QUOTA.one));
    results.push(
      figure(allowed.requests, "requests", { what: "HTTP requests of an allowed call", arm }),
      figure(denied.requests, "requests", { what: "HTTP requests of a denied call", arm }),
      figure(allowed.commands, "commands", { what: "Redis commands of an allowed call, inner ones too", arm }),
      figure(allowed.microseconds, "µs", { what: "the server's time of an allowed call", arm }),
      figure(denied.commands, "commands", { what: "Redis commands of a denied call, inner ones too", arm }),
    );
  }
  const rows = await lab.worker.do("rowsOfTurns", {});
  return [
    ...results,
    figure(rows.allowed, "rows", { what: "rows written by an allowed call", arm: OBJECT }),
    figure(rows.denied, "rows", { what: "rows written by a denied call", arm: OBJECT }),
    figure(1, "rows", { what: "rows written by an allowed call", arm: BARE, note: "by its one statement" }),
  ];
}

/** The averages of calls on one key, after a first one that is not counted. */
async function callsOf(lab: Lab, make: (address: Address) => Limit) {
  const limit = make(lab.restGateway);
  const key = crypto.randomUUID();
  await limit(key);
  await lab.counts();
  await lab.commands.reset();
  for (let n = 0; n < CALLS; n++) await limit(key);
  const { requests } = await lab.counts();
  const commands = await lab.commands.total();
  const microseconds = requests === 0 ? 0 : await lab.commands.microsecondsPerScript();
  return { requests: requests / CALLS, commands: commands / CALLS, microseconds };
}
