import { type LockAndRelease, lockByHand, ourLock } from "../arms/turns.js";
import type { Measure } from "../bench.js";
import type { Address, Lab } from "../lab.js";
import { figure, type Result, ratio } from "../result.js";
import { CLIENTS, type Contender, concurrently, race } from "../rounds.js";
import { ratios, spreadOf } from "../statistics.js";

const OURS = "ours, Mutex";
const BY_HAND = "SET NX PX and a release script, by hand";
const BARE = "bare Durable Object, a row for each lock";
const OBJECT = "ours, Mutex on a Durable Object";
const LOCKS = 100;

/** What a free lock costs, from acquire to release. */
export const turnsLocks: Measure = {
  name: "turns-locks",
  title: "Acquire and release of a free lock",
  async run(bench) {
    const { lab } = bench;
    await lab.setRtt(0);
    const byHand = await lockByHand(lab.redis);
    const counted = [...(await counts(lab, OURS, ourLock)), ...(await counts(lab, BY_HAND, byHand))];
    const times = await race(bench, [
      locking(lab, OURS, ourLock),
      locking(lab, BY_HAND, byHand),
      { name: OBJECT, run: (operations) => lab.worker.do("locks", { operations, clients: CLIENTS }) },
      { name: BARE, run: (operations) => lab.worker.do("bareLocks", { operations, clients: CLIENTS }) },
    ]);
    const over = (other: string, arm: string): Result => {
      const speed = spreadOf(ratios(times.get(other) ?? [], times.get(arm) ?? []));
      return ratio(speed, { what: `throughput over: ${other}`, arm });
    };
    const { lock, bareLock } = await lab.worker.do("rowsOfTurns", {});
    const rows = "rows written by an acquire and its release";
    return [
      over(BY_HAND, OURS),
      over(BARE, OBJECT),
      ...counted,
      figure(lock, "rows", { what: rows, arm: OBJECT }),
      figure(bareLock, "rows", { what: rows, arm: BARE }),
    ];
  },
};

/** Each client is an instance of its own, and each lock is free. */
function locking(lab: Lab, name: string, make: (address: Address) => LockAndRelease): Contender {
  const instances = Array.from({ length: CLIENTS }, () => make(lab.rest));
  const lock = (n: number, client: number) => (instances[client] as LockAndRelease)(`lock-${client}-${n % LOCKS}`);
  return { name, run: (operations) => concurrently(operations, lock) };
}

async function counts(lab: Lab, arm: string, make: (address: Address) => LockAndRelease): Promise<Result[]> {
  const lock = make(lab.restGateway);
  await lab.clear();
  await lock("warm");
  await lab.counts();
  await lab.commands.reset();
  for (let n = 0; n < LOCKS; n++) await lock(`counted-${n}`);
  const { requests } = await lab.counts();
  const stats = await lab.commands.all();
  const commands = await lab.commands.total();
  // A script's time holds that of its inner commands. Only the hand-written lock sends SET by itself.
  const own = arm === BY_HAND ? ["evalsha", "set"] : ["evalsha"];
  const microseconds = own.reduce((sum, name) => sum + (stats.get(name)?.microseconds ?? 0), 0);
  return [
    figure(requests / LOCKS, "requests", { what: "HTTP requests of an acquire and its release", arm }),
    figure(commands / LOCKS, "commands", { what: "Redis commands of both, inner ones too", arm }),
    figure(microseconds / LOCKS, "µs", { what: "the server's time of both", arm }),
  ];
}
