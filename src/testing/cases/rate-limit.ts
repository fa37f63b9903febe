import { type RateLimit, RateLimiter } from "../../trackers/rate-limiter.js";
import { equal, isTrue, matches, rejects } from "../assert.js";
import { losingReplies, refusing } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";

const CLOCKED = { needs: ["clock"] } as const;
/** Slow enough that no call more is admitted while a case runs. Patient, since a slow machine must not fail a case. */
const SLOW = { limit: 5, windowSec: "10h", timeoutMs: "30s" } as const;
const CALL_MS = 7_200_000;

/** Rate limits. */
export const rateLimit: readonly ConformanceCase[] = [
  aCase("concurrent calls are counted exactly", {}, async (t) => {
    const key = t.id("key");
    const limit = (): Promise<RateLimit> => new RateLimiter(t.coordinator(), SLOW).limit(key);
    const calls = await Promise.all(Array.from({ length: 12 }, limit));
    const allowed = calls.filter((call) => call.allowed);
    equal(allowed.length, 5, "how many are allowed");
    equal(allowed.map(({ remaining }) => remaining).sort(), [0, 1, 2, 3, 4], "what remains after each");
    for (const call of calls.filter((one) => !one.allowed)) {
      matches(call, { limit: 5, remaining: 0 }, "a denial");
      isTrue(call.retryAfterMs > CALL_MS - 60_000 && call.retryAfterMs <= CALL_MS, "until the next call fits");
      isTrue(call.resetMs > 5 * CALL_MS - 60_000 && call.resetMs <= 5 * CALL_MS, "until the burst is full");
    }
  }),
  aCase("a key's calls return one by one, up to the burst", CLOCKED, async (t) => {
    const [limiter, key] = [new RateLimiter(t.coordinator(), { ...SLOW, burst: 2 }), t.id("key")];
    const allowed = async (): Promise<boolean> => (await limiter.limit(key)).allowed;
    equal([await allowed(), await allowed(), await allowed()], [true, true, false], "the burst");
    await t.advance(CALL_MS - 60_000);
    equal(await allowed(), false, "before a call has returned");
    await t.advance(60_000);
    equal([await allowed(), await allowed()], [true, false], "one call");
    await t.advance(20 * CALL_MS);
    equal([await allowed(), await allowed(), await allowed()], [true, true, false], "the burst again, and no more");
  }),
  aCase("a cost that does not fit takes nothing, and a cost of 0 only reads", {}, async (t) => {
    const [limiter, key] = [new RateLimiter(t.coordinator(), SLOW), t.id("key")];
    matches(await limiter.limit(key, 0), { allowed: true, remaining: 5, resetMs: 0 }, "an unknown key");
    matches(await limiter.limit(key, 3), { allowed: true, remaining: 2 }, "three");
    matches(await limiter.limit(key, 3), { allowed: false, remaining: 2 }, "three more");
    matches(await limiter.limit(key, 2), { allowed: true, remaining: 0 }, "two");
    matches(await limiter.limit(key, 0), { allowed: true, remaining: 0, retryAfterMs: 0 }, "a look");
  }),
  aCase("limits of two keys and namespaces share nothing", {}, async (t) => {
    const key = t.id("key");
    const limiters = ["a", "b"].map((namespace) => new RateLimiter(t.coordinator(), { ...SLOW, limit: 1, namespace }));
    for (const limiter of limiters) {
      for (const one of [key, [key, "more"], `${key} more`]) {
        equal([(await limiter.limit(one)).allowed, (await limiter.limit(one)).allowed], [true, false], "each of them");
      }
    }
  }),
  aCase("a backend that fails rejects, allows or denies, as the caller says", {}, async (t) => {
    const [on, key] = [refusing(t.coordinator()), t.id("key")];
    await rejects(() => new RateLimiter(on, SLOW).limit(key), "backend_unavailable", "by default");
    const allowed = await new RateLimiter(on, { ...SLOW, onError: "allow" }).limit(key);
    matches(allowed, { allowed: true, limit: 5, retryAfterMs: 0 }, "allow");
    const denied = await new RateLimiter(on, { ...SLOW, onError: "deny" }).limit(key);
    matches(denied, { allowed: false, limit: 5, remaining: 0 }, "deny");
    isTrue(denied.retryAfterMs > 0 && denied.cause !== undefined, "with its cause");
  }),
  aCase("a call whose reply is lost is not sent again", {}, async (t) => {
    const [on, key] = [t.coordinator(), t.id("key")];
    const lossy = new RateLimiter(losingReplies(on), SLOW);
    const error = await rejects(() => lossy.limit(key, 2), "backend_unavailable", "the lost reply");
    equal(error.applied, "unknown", "whether it counted");
    matches(await new RateLimiter(on, SLOW).limit(key, 0), { remaining: 3 }, "it counted once");
  }),
  aCase("bad input of a limiter is refused with the field's name", {}, async (t) => {
    const on = t.coordinator();
    const refused = (work: () => unknown, field: string) => rejects(async () => work(), "invalid_input", field, field);
    for (const limit of [0, 1_000_001, 1.5, undefined]) {
      await refused(() => new RateLimiter(on, { ...SLOW, limit } as never), "limit");
    }
    await refused(() => new RateLimiter(on, undefined as never), "limit");
    await refused(() => new RateLimiter(on, { ...SLOW, windowSec: "32d" }), "windowSec");
    await refused(() => new RateLimiter(on, { limit: 1, windowSec: "31d", burst: 12 }), "burst");
    await refused(() => new RateLimiter(on, { ...SLOW, burst: 0 }), "burst");
    await refused(() => new RateLimiter(on, { ...SLOW, onError: "ignore" as never }), "onError");
    await refused(() => new RateLimiter(on, { ...SLOW, timeoutMs: 0 }), "timeoutMs");
    await refused(() => new RateLimiter(on, { ...SLOW, window: 1 } as never), "unknown field");
    const limiter = new RateLimiter(on, SLOW);
    await refused(() => limiter.limit(""), "key");
    await refused(() => limiter.limit("key", 6), "cost");
    await refused(() => limiter.limit("key", 0.5), "cost");
  }),
];
