import { DedupeWindow } from "../../trackers/dedupe.js";
import { equal, isTrue, matches, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";

const CLOCKED = { needs: ["clock"] } as const;
const REASON = new Error("the work failed");

const ran = (value: unknown) => ({ outcome: "ran", value, kept: true });
const replayed = (value: unknown) => ({ outcome: "replayed", value, kept: true });

/** Returns a promise, and the function that resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Work that runs once. */
export const once: readonly ConformanceCase[] = [
  aCase("of concurrent runs of a key one works, and the others wait for its value", {}, async (t) => {
    const key = t.id("key");
    let works = 0;
    const run = () =>
      new DedupeWindow(t.coordinator()).run(key, async () => ({ n: ++works }), { onInFlight: "wait", waitMs: 10_000 });
    const outcomes = await Promise.all(Array.from({ length: 5 }, run));
    equal(works, 1, "how often the work ran");
    equal(outcomes.filter(({ outcome }) => outcome === "ran").length, 1, "how many calls worked");
    for (const one of outcomes) matches(one, { value: { n: 1 }, kept: true }, "every outcome");
  }),
  aCase("a duplicate of a run under way gets in_progress, and how long the run may take at most", {}, async (t) => {
    const [window, key, { opened, open }] = [new DedupeWindow(t.coordinator()), t.id("key"), gate()];
    const begun = gate();
    const first = window.run(key, async () => {
      begun.open();
      await opened;
      return 1;
    });
    await begun.opened;
    const second = await window.run(key, () => 2);
    isTrue(second.outcome === "in_progress", "the duplicate does not work");
    isTrue(second.retryAfterMs > 0 && second.retryAfterMs <= 30_000, "until the lease ends");
    equal(await window.claim(key), false, "a claim of the key");
    open();
    equal(await first, ran(1), "the first");
    equal(await window.run(key, () => 3), replayed(1), "a later duplicate");
  }),
  aCase("work that throws frees the key, for a caller that waits too", {}, async (t) => {
    const [window, key, { opened, open }] = [new DedupeWindow(t.coordinator()), t.id("key"), gate()];
    const begun = gate();
    const failing = window.run(key, async () => {
      begun.open();
      await opened;
      throw REASON;
    });
    await begun.opened;
    const waiting = window.run(key, () => "second", { onInFlight: "wait", waitMs: 10_000 });
    open();
    const thrown = await failing.catch((error: unknown) => error);
    isTrue(thrown === REASON, "the work's own error");
    equal(await waiting, ran("second"), "the caller that waited");
  }),
  aCase("a key with another fingerprint is a mismatch", {}, async (t) => {
    const [window, key] = [new DedupeWindow(t.coordinator()), t.id("key")];
    equal(await window.run(key, () => 1, { fingerprint: "a" }), ran(1), "the first");
    equal(await window.run(key, () => 2, { fingerprint: "b" }), { outcome: "mismatch" }, "another payload");
    equal(await window.run(key, () => 2), { outcome: "mismatch" }, "no fingerprint");
    equal(await window.run(key, () => 2, { fingerprint: "a" }), replayed(1), "the same payload");
  }),
  aCase("a run that crashed is run again after its lease, and a late one gets lost", CLOCKED, async (t) => {
    const [window, key, { opened, open }] = [new DedupeWindow(t.coordinator()), t.id("key"), gate()];
    const [begun, tokens] = [gate(), [] as number[]];
    const late = window.run(key, async ({ fencingToken }) => {
      tokens.push(fencingToken);
      begun.open();
      await opened;
      return "late";
    });
    await begun.opened;
    await t.advance(29_000);
    matches(await window.run(key, () => "second"), { outcome: "in_progress" }, "within the lease");
    await t.advance(2_000);
    const second = await window.run(key, ({ fencingToken }) => {
      tokens.push(fencingToken);
      return "second";
    });
    equal(second, ran("second"), "after the lease");
    open();
    equal(await late, { outcome: "lost", value: "late", kept: false }, "the late one");
    equal(await window.run(key, () => "third"), replayed("second"), "a duplicate");
    isTrue((tokens[0] ?? 0) < (tokens[1] ?? 0), "fencing tokens grow");
  }),
  aCase("a result is kept for its window: a day, or as the caller says", CLOCKED, async (t) => {
    const [window, key, short] = [new DedupeWindow(t.coordinator()), t.id("key"), t.id("short")];
    await window.run(key, () => 1);
    await window.run(short, () => 1, { windowSec: "2m" });
    await t.advance(119_000);
    equal(await window.run(short, () => 2), replayed(1), "within two minutes");
    await t.advance(2_000);
    equal(await window.run(short, () => 2), ran(2), "after them");
    await t.advance(86_200_000);
    equal(await window.run(key, () => 2), replayed(1), "within a day");
    await t.advance(100_000);
    equal(await window.run(key, () => 2), ran(2), "after it");
  }),
  aCase("runs whose replies are lost, or that come twice, run once", {}, async (t) => {
    for (const on of [losingReplies(t.coordinator()), duplicating(t.coordinator())]) {
      const [window, key] = [new DedupeWindow(on), crypto.randomUUID()];
      const failed = await window.run(key, () => Promise.reject(REASON)).catch((error: unknown) => error);
      isTrue(failed === REASON, "the work's own error");
      equal([await window.run(key, () => 1), await window.run(key, () => 2)], [ran(1), replayed(1)], "the outcomes");
      equal([await window.forget(key), await window.run(key, () => 3)], [true, ran(3)], "once it is forgotten");
    }
  }),
  aCase("a value that cannot be kept is returned, and its duplicates do not work again", {}, async (t) => {
    const window = new DedupeWindow(t.coordinator());
    for (const value of ["x".repeat(16_385), 1n]) {
      const key = crypto.randomUUID();
      const { outcome, ...rest } = await window.run<unknown>(key, () => value);
      isTrue(outcome === "ran" && "value" in rest && rest.value === value && !rest.kept, "the first");
      equal(await window.run(key, () => "again"), { outcome: "replayed", kept: false }, "a duplicate");
    }
    const key = t.id("key");
    equal(await window.run(key, () => undefined), ran(undefined), "work without a value");
    equal(await window.run(key, () => undefined), replayed(undefined), "and its duplicate");
  }),
  aCase("a key that is forgotten is free: a run under way has lost it", {}, async (t) => {
    const [window, key] = [new DedupeWindow(t.coordinator()), t.id("key")];
    equal(await window.forget(key), false, "an unknown key");
    const first = await window.run(key, async () => {
      equal(await window.release(key), false, "a release ends no run");
      equal(await window.forget(key), true, "forgotten while it runs");
      return 1;
    });
    equal(first, { outcome: "lost", value: 1, kept: false }, "the first");
    equal(await window.run(key, () => 2), ran(2), "the next");
  }),
  aCase("bad input of a run is refused with the field's name", {}, async (t) => {
    const [window, key] = [new DedupeWindow(t.coordinator()), t.id("key")];
    const bad: Readonly<Record<string, object>> = {
      leaseSec: { leaseSec: 0.5 },
      windowSec: { windowSec: 0 },
      waitMs: { waitMs: -1 },
      fingerprint: { fingerprint: "x".repeat(257) },
      onInFlight: { onInFlight: "throw" },
      "did you mean leaseSec": { leasesec: 1 },
    };
    for (const [field, options] of Object.entries(bad)) {
      await rejects(() => window.run(key, () => 1, options), "invalid_input", field, field);
    }
    equal(await window.run(key, () => 1), ran(1), "nothing was sent");
  }),
];
