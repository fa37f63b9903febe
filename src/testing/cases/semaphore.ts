import type { CoordinationError } from "../../errors.js";
import { Mutex, Semaphore } from "../../trackers/semaphore.js";
import { smallId } from "../../trackers/small-key.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";

const CLOCKED = { needs: ["clock"] } as const;
const LEASE_MS = 30_000;
const WAIT = { waitMs: 10_000 } as const;

/** Permits, leases and the line. */
export const semaphore: readonly ConformanceCase[] = [
  aCase("a semaphore grants as many permits as it has, and each again once it is released", {}, async (t) => {
    const key = t.id("key");
    const one = () => new Semaphore(t.coordinator(), { permits: 2 });
    const permits = await Promise.all(Array.from({ length: 6 }, () => one().acquire(key)));
    const held = permits.filter((permit) => permit !== null);
    equal(held.length, 2, "how many are granted");
    equal(new Set(held.map(({ fencingToken }) => fencingToken)).size, 2, "tokens");
    const { permitId } = present(held[0], "a permit");
    equal([await one().release(key, permitId), await one().release(key, permitId)], [true, true], "the release, twice");
    equal(await one().release(key, "unknown"), false, "a permit that was never granted");
    const next = present(await one().acquire(key), "the next permit");
    isTrue(
      held.every(({ fencingToken }) => fencingToken < next.fencingToken),
      "tokens grow",
    );
    equal(await one().acquire(key), null, "one too many");
    isTrue((await one().acquire(t.id("other"))) !== null, "another key");
    isTrue((await new Mutex(t.coordinator()).acquire(key)) !== null, "a mutex of that name");
  }),
  aCase("callers in line are served in order, and none overtakes the first", {}, async (t) => {
    const [on, id] = [t.coordinator(), t.id("line")];
    const acquire = (op: string, queue = true) =>
      on.run("semaphore.acquire", id, { op, permits: 1, leaseMs: LEASE_MS, queue });
    const outcomes = async (...ops: string[]): Promise<string[]> => {
      const list: string[] = [];
      for (const op of ops) list.push((await acquire(op)).outcome);
      return list;
    };
    equal(await outcomes("a", "b", "c"), ["granted", "queued", "queued"], "the line");
    await on.run("semaphore.release", id, { op: "a" });
    equal((await acquire("d", false)).outcome, "busy", "a caller that comes later");
    equal(await outcomes("c", "b", "c"), ["queued", "granted", "queued"], "the second, the first, the second");
    await on.run("semaphore.release", id, { op: "b" });
    const turn = await on.watch("semaphore.turn", id, { op: "c" }, { timeoutMs: 5_000 });
    isTrue(turn.ready, "the turn of the second");
  }),
  aCase("a waiting caller gets the permit when it is released", {}, async (t) => {
    const [mutex, key] = [new Mutex(t.coordinator()), t.id("key")];
    const first = present(await mutex.acquire(key), "the permit");
    const waiting = new Mutex(t.coordinator()).acquire(key, WAIT);
    await mutex.release(key, first.permitId);
    const second = present(await waiting, "the permit of the caller that waited");
    isTrue(second.fencingToken > first.fencingToken, "its token is higher");
  }),
  aCase(
    "a holder that is gone is replaced when its lease ends, and its late calls change nothing",
    CLOCKED,
    async (t) => {
      const [mutex, key] = [new Mutex(t.coordinator()), t.id("key")];
      const gone = present(await mutex.acquire(key), "the permit");
      await t.advance(LEASE_MS - 2_000);
      equal([await mutex.extend(key, gone.permitId), await mutex.acquire(key)], [true, null], "extended in time");
      await t.advance(LEASE_MS - 2_000);
      equal(await mutex.acquire(key), null, "within the second lease");
      const waiting = new Mutex(t.coordinator()).acquire(key, WAIT);
      await t.advance(2_100);
      const next = present(await waiting, "the permit of the caller that waited");
      isTrue(next.fencingToken > gone.fencingToken, "its token is higher");
      equal(
        [await mutex.extend(key, gone.permitId), await mutex.release(key, gone.permitId)],
        [false, false],
        "too late",
      );
      equal(await mutex.extend(key, next.permitId), true, "the new holder");
    },
  ),
  aCase("a caller that gives up or aborts takes nothing", CLOCKED, async (t) => {
    const [mutex, key, reason] = [new Mutex(t.coordinator()), t.id("key"), new Error("gone")];
    const first = present(await mutex.acquire(key), "the permit");
    let isOver = false;
    const impatient = mutex.acquire(key, { waitMs: 20 }).finally(() => {
      isOver = true;
    });
    for (let steps = 0; steps < 100 && !isOver; steps++) {
      await t.advance(20);
      await settle(2);
    }
    equal(await impatient, null, "a caller that gives up");
    const controller = new AbortController();
    const aborted = mutex.acquire(key, { ...WAIT, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    isTrue((await aborted.catch((error: unknown) => error)) === reason, "the reason of the signal");
    const waiting = mutex.acquire(key, WAIT);
    await mutex.release(key, first.permitId);
    isTrue((await waiting) !== null, "the next caller");
  }),
  aCase("acquires and releases whose replies are lost, or that come twice, count once", {}, async (t) => {
    for (const on of [losingReplies(t.coordinator()), duplicating(t.coordinator())]) {
      const [two, key] = [new Semaphore(on, { permits: 2 }), crypto.randomUUID()];
      const [a, b] = [present(await two.acquire(key), "the first"), present(await two.acquire(key), "the second")];
      isTrue(a.fencingToken < b.fencingToken, "tokens grow");
      equal(await two.acquire(key), null, "the third");
      isTrue(await two.release(key, a.permitId), "the release");
      isTrue((await two.acquire(key)) !== null, "once one is released");
      equal(await two.acquire(key), null, "and no more");
    }
  }),
  aCase("withPermit releases the permit, and throws the work's own error", {}, async (t) => {
    const [mutex, key, reason] = [new Mutex(t.coordinator()), t.id("key"), new Error("the work failed")];
    const tokens: number[] = [];
    const work = async () =>
      mutex.withPermit(key, async ({ fencingToken, signal }) => {
        tokens.push(fencingToken);
        isTrue(!signal.aborted, "the lease is held");
        await rejects(() => mutex.withPermit(key, () => 0, { waitMs: 0 }), "wait_timeout", "a second holder");
        return "done";
      });
    equal([await work(), await work()], ["done", "done"], "the values");
    const failing = mutex.withPermit(key, () => Promise.reject(reason));
    isTrue((await failing.catch((error: unknown) => error)) === reason, "the work's own error");
    isTrue((await mutex.acquire(key)) !== null, "released");
    isTrue((tokens[0] ?? 0) < (tokens[1] ?? 0), "tokens grow");
  }),
  aCase("a status lists the holders and the line, and a place that is left goes to the next caller", {}, async (t) => {
    const [on, key] = [t.coordinator(), t.id("key")];
    const one = new Semaphore(on, { permits: 1, leaseSec: 30 });
    const nothing = { holders: [], waiters: [], waiting: 0, lastFencingToken: 0 };
    equal(await one.status(key), nothing, "an unknown key");
    const held = present(await one.acquire(key), "the permit");
    const id = await smallId("default", key);
    const acquire = (op: string) => on.run("semaphore.acquire", id, { op, permits: 1, leaseMs: LEASE_MS, queue: true });
    for (const op of ["b", "c"]) equal((await acquire(op)).outcome, "queued", "a caller in line");
    const { holders, waiters, waiting, lastFencingToken } = await one.status(key);
    equal([waiting, lastFencingToken], [2, held.fencingToken], "the line and the token");
    const [holder, ...more] = holders;
    matches(holder, { permitId: held.permitId, fencingToken: held.fencingToken }, "the holder");
    isTrue(more.length === 0 && (holder?.expiresInMs ?? 0) > 0, "its lease");
    const line = waiters.map(({ permitId, offered }) => [permitId, offered]);
    equal(
      line,
      ["b", "c"].map((op) => [op, false]),
      "the callers in line",
    );
    await one.release(key, held.permitId);
    equal((await one.status(key)).waiters[0]?.offered, true, "the offer");
    const watching = on.watch("semaphore.turn", id, { op: "c" }, { timeoutMs: 5_000 });
    const leave = async (op: string) => (await on.run("semaphore.leave", id, { op })).left;
    equal([await leave("b"), await leave("b"), await leave("a")], [true, false, false], "the places that were left");
    equal(
      [(await acquire("b")).outcome, (await acquire("c")).outcome],
      ["queued", "granted"],
      "the next, and the late one",
    );
    isTrue((await watching).ready, "the turn of the next");
    equal(await leave("c"), false, "a permit is no place");
    const leaving = on.watch("semaphore.turn", id, { op: "b" }, { timeoutMs: 5_000 });
    equal([await leave("b"), (await leaving).ready], [true, true], "the wait for a place that was left");
    equal((await one.status(key)).holders.length, 1, "the permit stays");
  }),
  aCase("bad input of a semaphore is refused with the field's name", {}, async (t) => {
    const on = t.coordinator();
    const refused = (work: () => unknown, field: string): Promise<CoordinationError> =>
      rejects(async () => work(), "invalid_input", field, field);
    for (const permits of [0, 257, 1.5, undefined])
      await refused(() => new Semaphore(on, { permits } as never), "permits");
    await refused(() => new Semaphore(on, undefined as never), "permits");
    await refused(() => new Mutex(on, { leaseSec: 0.5 }), "leaseSec");
    await refused(() => new Mutex(on, { namespace: "" }), "namespace");
    await refused(() => new Mutex(on, { permits: 2 } as never), "unknown field");
    const mutex = new Mutex(on);
    await refused(() => mutex.acquire(""), "key");
    await refused(() => mutex.acquire("key", { waitMs: -1 }), "waitMs");
    await refused(() => mutex.extend("key", ""), "permitId");
    await refused(() => mutex.release("key", "x".repeat(257)), "permitId");
  }),
];
