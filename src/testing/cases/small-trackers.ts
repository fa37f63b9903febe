import { CoalesceTracker } from "../../trackers/coalesce.js";
import { DedupeWindow } from "../../trackers/dedupe.js";
import { RequestStatsAccumulator } from "../../trackers/stats.js";
import { equal, isTrue, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { ODD_IDS } from "./primitives.js";

const CLOCKED = { needs: ["clock"] } as const;
const LONG_KEY = `https://a.example/${"x".repeat(1_900)}`;

/** Returns the error that the work rejects with. */
async function thrown(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
}

const coalesce: readonly ConformanceCase[] = [
  aCase("of a key's versions only the newest is not stale", {}, async (t) => {
    const [versions, other, key] = [
      new CoalesceTracker(t.coordinator()),
      new CoalesceTracker(t.coordinator()),
      t.id("key"),
    ];
    const first = await versions.next(key);
    const second = await other.next(key);
    isTrue(second > first, "versions grow");
    equal([await versions.isStale(key, first), await other.isStale(key, second)], [true, false], "who is stale");
    equal(await versions.isStale(t.id("unseen"), first), false, "a key that nobody has seen");
    equal(await versions.isStale(key, second + 1_000_000), false, "a version that was never issued");
    equal(await versions.isStale(key, second), false, "and makes none stale");
    const apart = new CoalesceTracker(t.coordinator(), { namespace: "other" });
    equal(await apart.isStale(key, first), false, "the same key in another namespace");
  }),
  aCase("an empty key is refused, and nothing is sent", {}, async (t) => {
    const versions = new CoalesceTracker(t.coordinator());
    const sent: number[] = [];
    const calls = [
      () => versions.next(""),
      () => versions.isStale("", 0),
      () => versions.supersede("", (version) => void sent.push(version)),
    ];
    for (const call of calls) await rejects(call, "invalid_input", "an empty key", "key");
    equal(sent, [], "what is sent");
  }),
  aCase("a version whose sending fails makes no older one stale", { row: 28 }, async (t) => {
    const [versions, key, reason] = [new CoalesceTracker(t.coordinator()), t.id("key"), new Error("the queue is full")];
    const queued = await versions.supersede(key, async () => {});
    const failing = versions.supersede(key, () => Promise.reject(reason));
    equal((await thrown(() => failing)) === reason, true, "the error of the sender");
    equal(await versions.isStale(key, queued), false, "what is queued");
    const newer = await versions.supersede(key, async () => {});
    equal([await versions.isStale(key, queued), await versions.isStale(key, newer)], [true, false], "once one is sent");
  }),
  aCase("a message that was sent makes older ones stale though its sender died on the spot", {}, async (t) => {
    const [versions, key] = [new CoalesceTracker(t.coordinator()), t.id("key")];
    const older = await versions.next(key);
    const sent = await new Promise<number>((resolve, reject) => {
      const sending = versions.supersede(key, (version) => {
        resolve(version);
        // The sender crashes.
        return new Promise(() => {});
      });
      sending.catch(reject);
    });
    equal(await versions.isStale(key, older), false, "before anybody has the message");
    equal(await versions.isStale(key, sent), false, "whoever has it, asks");
    equal(await versions.isStale(key, older), true, "from then on");
  }),
  aCase(
    "a message that is tried again late does not outrun the newer one, before and after the key's time",
    { row: 29, ...CLOCKED },
    async (t) => {
      const [versions, key] = [new CoalesceTracker(t.coordinator(), { ttlSec: 60 }), t.id("key")];
      const old = await versions.next(key);
      const newer = await versions.next(key);
      equal(await versions.isStale(key, old), true, "the retry of the old one");
      await t.advance(61_000);
      equal(await versions.isStale(key, newer), false, "a forgotten key");
      const later = await versions.next(key);
      isTrue(later > newer, "versions go on growing");
      equal([await versions.isStale(key, old), await versions.isStale(key, newer)], [true, true], "both old ones");
    },
  ),
  aCase("a version whose reply was lost, or that is asked for twice, is issued once", {}, async (t) => {
    const key = t.id("key");
    const lossy = new CoalesceTracker(losingReplies(t.coordinator()));
    const version = await lossy.next(key);
    equal(await lossy.isStale(key, version), false, "with lost replies");
    const doubled = await new CoalesceTracker(duplicating(t.coordinator())).next(key);
    equal(await lossy.isStale(key, doubled), false, "with doubled messages");
  }),
  aCase("versions of two namespaces and keys share nothing, whatever their names hold", { row: 30 }, async (t) => {
    const pairs = pairsOf(t.id("n"));
    const versions = pairs.map(([namespace]) => new CoalesceTracker(t.coordinator(), { namespace }));
    const sent: number[] = [];
    for (const [i, [, key]] of pairs.entries()) sent.push(present(await versions[i]?.next(key), "the version"));
    // If two pairs shared a key, only its newest version would not be stale.
    for (const [i, [, key]] of pairs.entries()) {
      equal(await versions[i]?.isStale(key, sent[i] ?? 0), false, `the version of pair ${i}`);
      await versions[i]?.next(key);
      equal(await versions[i]?.isStale(key, sent[i] ?? 0), true, `the version of pair ${i}, after a newer one`);
    }
  }),
];

/** Pairs of which some would be equal after plain concatenation, with any separator. */
const pairsOf = (tag: string): readonly (readonly [string, string])[] => [
  [`${tag}a|b`, "c"],
  [`${tag}a`, "b|c"],
  [`${tag}a:b`, "c"],
  [`${tag}a`, "b:c"],
  [`${tag}ab`, "c"],
  [`${tag}a`, "bc"],
  [`${tag}a`, "1:b1:c"],
  [`${tag}a1:b`, "1:c"],
  [`${tag}a\u0000b`, "c"],
  [`${tag}a`, "b\u0000c"],
  [`${tag}a`, "0"],
  [`${tag}a0`, "0"],
  [`${tag}a|0`, "0"],
];

const dedupe: readonly ConformanceCase[] = [
  aCase("of many who claim a key one has it, until its window is over", CLOCKED, async (t) => {
    const [window, key] = [new DedupeWindow(t.coordinator(), { windowSec: 45 }), t.id("key")];
    const claims = await Promise.all(
      Array.from({ length: 10 }, () => new DedupeWindow(t.coordinator(), { windowSec: 45 }).claim(key)),
    );
    equal(claims.filter((claimed) => claimed).length, 1, "how many have it");
    await t.advance(30_000);
    equal(await window.claim(key), false, "within the window");
    await t.advance(16_000);
    equal(await window.claim(key), true, "after it");
  }),
  aCase("a released key can be claimed again", {}, async (t) => {
    const [window, key] = [new DedupeWindow(t.coordinator()), t.id("key")];
    equal(await window.release(key), false, "one that nobody has");
    await window.claim(key);
    equal([await window.release(key), await window.release(key)], [true, false], "the releases");
    equal([await window.claim(key), await window.claim(key)], [true, false], "the claims");
  }),
  aCase("work that fails frees its claim, and a retry may try again", { row: 27 }, async (t) => {
    const [window, key, reason] = [new DedupeWindow(t.coordinator()), t.id("key"), new Error("the queue is full")];
    const failing = () => window.run(key, () => Promise.reject(reason));
    equal((await thrown(failing)) === reason, true, "the error of the work");
    equal(await window.run(key, async () => "done"), { outcome: "ran", value: "done", kept: true }, "the retry");
    const replayed = { outcome: "replayed", value: "done", kept: true };
    equal(await window.run(key, () => "again"), replayed, "a duplicate");
  }),
  aCase("claims and releases whose replies are lost, or that come twice, count once", {}, async (t) => {
    for (const on of [losingReplies(t.coordinator()), duplicating(t.coordinator())]) {
      const [window, key] = [new DedupeWindow(on), crypto.randomUUID()];
      equal([await window.claim(key), await window.claim(key)], [true, false], "the claims");
      equal([await window.release(key), await window.claim(key)], [true, true], "release, and claim anew");
    }
  }),
  aCase("keys of several parts are kept apart, whatever the parts hold", { row: 30 }, async (t) => {
    const window = new DedupeWindow(t.coordinator());
    const tag = t.id("key");
    const keys: (string | string[])[] = [
      [`${tag}a|b`, "c"],
      [`${tag}a`, "b|c"],
      [`${tag}a`, "b", "c"],
      `${tag}a|b|c`,
      [`${tag}a|b|c`, ""],
      ["", `${tag}a|b|c`],
      `1:a${tag}`,
      LONG_KEY + tag,
      [LONG_KEY, tag],
      ...ODD_IDS.map((id) => [tag, id]),
    ];
    for (const [i, key] of keys.entries()) equal(await window.claim(key), true, `key ${i}`);
    for (const [i, key] of keys.entries()) equal(await window.claim(key), false, `key ${i}, again`);
  }),
];

const stats: readonly ConformanceCase[] = [
  aCase("counts are added up, and taken once", {}, async (t) => {
    const [counts, id] = [new RequestStatsAccumulator(t.coordinator(), t.id("stats")), "request"];
    equal(await counts.consume(id), null, "nothing was merged");
    await counts.merge(id, { processed: 3 });
    await counts.merge(id, { processed: 1, requeueCount: 2 });
    await counts.merge(id, { errorCount: 1 });
    equal(await counts.consume(id), { processed: 4, requeueCount: 2, errorCount: 1 }, "the counts");
    equal(await counts.consume(id), null, "the second consumer");
    await counts.merge(id, { processed: 1 });
    equal(await counts.consume(id), { processed: 1, requeueCount: 0, errorCount: 0 }, "what came afterwards");
    await rejects(() => counts.merge("", { processed: 1 }), "invalid_input", "an empty id", "id");
    await rejects(() => counts.consume(""), "invalid_input", "an empty id", "id");
  }),
  aCase("the counts of an id live and die together", { row: 24, ...CLOCKED }, async (t) => {
    const counts = new RequestStatsAccumulator(t.coordinator(), t.id("stats"), { ttlSec: 60 });
    await counts.merge("request", { errorCount: 1 });
    for (let i = 0; i < 4; i++) {
      await t.advance(45_000);
      await counts.merge("request", { processed: 1 });
    }
    equal(await counts.consume("request"), { processed: 4, requeueCount: 0, errorCount: 1 }, "while it is merged");
    await counts.merge("request", { processed: 1 });
    await t.advance(61_000);
    equal(await counts.consume("request"), null, "after its time");
  }),
  aCase("merges that race two consumers are each taken once", { row: 25 }, async (t) => {
    const namespace = t.id("stats");
    const one = () => new RequestStatsAccumulator(t.coordinator(), namespace);
    await one().merge("request", { processed: 1 });
    const taken = await Promise.all([
      ...Array.from({ length: 3 }, () => one().merge("request", { processed: 1 })),
      one().consume("request"),
      ...Array.from({ length: 3 }, () => one().merge("request", { processed: 1 })),
      one().consume("request"),
    ]);
    const left = await one().consume("request");
    const sum = [...taken, left].reduce<number>((all, counts) => all + (counts ? counts.processed : 0), 0);
    equal(sum, 7, "all of them");
    await one().merge("request", { processed: 1 });
    const both = await Promise.all([one().consume("request"), one().consume("request")]);
    equal(both.filter((counts) => counts !== null).length, 1, "of two consumers, how many get something");
  }),
  aCase("merging one id again and again evicts no other; one too many evicts the oldest", { row: 26 }, async (t) => {
    const counts = new RequestStatsAccumulator(t.coordinator(), t.id("stats"), { maxTracked: 4 });
    for (const id of ["a", "b", "c", "d", "d", "d", "d", "a"]) await counts.merge(id, { processed: 1 });
    await counts.consume("c");
    await counts.merge("e", { processed: 1 });
    for (const id of ["a", "b", "d", "e"]) await counts.merge(id, { processed: 1 });
    await counts.merge("f", { processed: 1 });
    const left: (number | null)[] = [];
    for (const id of ["a", "b", "c", "d", "e", "f"]) left.push((await counts.consume(id))?.processed ?? null);
    equal(left, [null, 2, null, 5, 2, 1], "what is left of each");
  }),
  aCase(
    "a merge or a consumption whose reply is lost counts once, and its repetition gets the same answer",
    {},
    async (t) => {
      for (const on of [losingReplies(t.coordinator()), duplicating(t.coordinator())]) {
        const counts = new RequestStatsAccumulator(on, crypto.randomUUID().slice(0, 32));
        await counts.merge("request", { processed: 2 });
        await counts.merge("request", { processed: 2 });
        equal(present(await counts.consume("request"), "the counts").processed, 4, "the counts");
        equal(await counts.consume("request"), null, "the next consumer");
      }
    },
  ),
  aCase("counts of two namespaces and ids share nothing, whatever their names hold", { row: 30 }, async (t) => {
    const pairs = pairsOf(t.id("n"));
    // Once with one record for each namespace, once with several shards.
    for (const maxTracked of [10, 4_000]) {
      const counts = pairs.map(([namespace]) => {
        return new RequestStatsAccumulator(t.coordinator(), `${maxTracked}${namespace}`, { maxTracked });
      });
      for (const [i, [, id]] of pairs.entries()) await counts[i]?.merge(id, { processed: i + 1 });
      for (const [i, [, id]] of pairs.entries()) {
        equal((await counts[i]?.consume(id))?.processed, i + 1, `the counts of pair ${i}, of ${maxTracked}`);
        equal(await counts[i]?.consume(id), null, `pair ${i}, consumed`);
      }
    }
  }),
];

export const smallTrackers: readonly ConformanceCase[] = [
  ...coalesce,
  ...dedupe,
  ...stats,
  aCase("bad input of the small trackers is refused with the field's name", {}, async (t) => {
    const on = t.coordinator();
    const refused = (work: () => unknown, field: string) => rejects(async () => work(), "invalid_input", field, field);
    const versions = new CoalesceTracker(on);
    await refused(() => versions.next("x".repeat(2_049)), "key");
    await refused(() => versions.isStale("key", -1), "version");
    await refused(() => new CoalesceTracker(on, { namespace: "" }), "namespace");
    await refused(() => new CoalesceTracker(on, { ttlSec: 0 }), "ttlSec");
    const window = new DedupeWindow(on);
    await refused(() => window.claim(""), "key");
    await refused(() => window.claim([]), "key");
    await refused(() => window.claim(["a", 7 as never]), "key[1]");
    await refused(() => window.claim("\udc00"), "key");
    await refused(() => new DedupeWindow(on, { windowSec: 0 }), "windowSec");
    const counts = new RequestStatsAccumulator(on, t.id("stats"));
    await refused(() => counts.merge("id", { processed: -1 }), "processed");
    await refused(() => counts.merge("id", { errorCount: 0.5 }), "errorCount");
    await refused(() => counts.merge("x".repeat(257), {}), "id");
    await refused(() => new RequestStatsAccumulator(on, "x".repeat(65)), "namespace");
    await refused(() => new RequestStatsAccumulator(on, "n", { maxTracked: 0 }), "maxTracked");
  }),
];
