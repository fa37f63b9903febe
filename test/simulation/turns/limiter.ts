import type { TakeInput } from "../../../src/core/limiter.js";
import type { Outcome } from "../simulate.js";
import { Violation } from "../violation.js";
import { outcomeOf, Turns } from "./run.js";

const ID = "key";
const CALLS = 60;
const HOUR_MS = 3_600_000;

/** The same limiter in exact fractions of a millisecond: `num / den` is when the debt ends. */
class ExactLimiter {
  #num = 0n;
  #den = 1n;
  /** When the record is gone, also when the clock goes back afterwards. */
  #untilMs = 0;

  take({ limit, windowMs, burst, cost }: TakeInput, nowMs: number) {
    const [l, w] = [BigInt(limit), BigInt(windowMs)];
    if (nowMs >= this.#untilMs) [this.#num, this.#den, this.#untilMs] = [0n, 1n, 0];
    // In units of 1 / (den · limit) milliseconds.
    const unit = this.#den * l;
    const call = w * this.#den;
    const most = BigInt(burst) * call;
    const until = (this.#num - BigInt(nowMs) * this.#den) * l;
    const debt = until < 0n ? 0n : until > most ? most : until;
    const after = debt + BigInt(cost) * call;
    const allowed = after <= most;
    if (allowed && cost > 0) {
      [this.#num, this.#den] = reduced(after + BigInt(nowMs) * unit, unit);
      this.#keep(Math.min(Math.ceil((burst * windowMs) / limit), HOUR_MS));
    }
    const left = allowed ? after : debt;
    return {
      allowed,
      remaining: Number((most - left) / call),
      resetMs: ceiled(left, unit),
      retryAfterMs: allowed ? 0 : ceiled(after - most, unit),
    };
  }

  /** The record outlives its debt, by the slack at most. */
  #keep(slackMs: number): void {
    const endsMs = Number(this.#num / this.#den) + 1;
    if (this.#untilMs < endsMs || this.#untilMs > endsMs + slackMs) this.#untilMs = endsMs + slackMs;
  }
}

const ceiled = (a: bigint, b: bigint): number => Number((a + b - 1n) / b);

function reduced(a: bigint, b: bigint): [bigint, bigint] {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return [a / x, b / x];
}

/** One run: a key's calls against exact arithmetic, and against the promise about every span of time. */
export function simulateLimiter(seed: number): Outcome {
  const turns = new Turns(seed, () => {});
  const { world, server } = turns;
  const exact = new ExactLimiter();
  const jumps = turns.mode.jumps && world.chance(0.5);
  const most = world.pick([1, 3, 10, 1_000_000]);
  const config = {
    limit: 1 + world.below(most),
    windowMs: world.pick([1, 7, 999, 60_000, 2_678_400_000]),
    burst: 1 + world.below(world.pick([1, 4, 100])),
  };
  const allowed: { readonly atMs: number; readonly cost: number }[] = [];
  const call = (): void => {
    const input = { ...config, cost: world.below(config.burst + 1) };
    const output = server.apply("limiter.take", ID, input);
    const wanted = exact.take(input, turns.nowMs);
    if (JSON.stringify(output) !== JSON.stringify(wanted)) {
      throw new Violation(`${JSON.stringify(output)}, and exactly ${JSON.stringify(wanted)}`);
    }
    if (output.allowed) allowed.push({ atMs: turns.nowMs, cost: input.cost });
  };
  const perCallMs = config.windowMs / config.limit;
  const begin = (): void => {
    for (let i = 0; i < CALLS; i++) {
      const pauseMs = world.pick([0, 1, perCallMs, perCallMs * config.burst]);
      world.nowMs += Math.floor(pauseMs * world.random());
      if (jumps && world.chance(0.1)) server.aheadMs += Math.floor((world.random() - 0.5) * 4 * config.windowMs);
      call();
    }
    if (!jumps) spans(allowed, config);
  };
  return outcomeOf(seed, turns, begin, 1);
}

/** Any span admits at most the burst, and what the limit gives in it. */
function spans(
  allowed: readonly { readonly atMs: number; readonly cost: number }[],
  { limit, windowMs, burst }: { limit: number; windowMs: number; burst: number },
): void {
  for (let from = 0; from < allowed.length; from++) {
    let sum = 0n;
    for (const { atMs, cost } of allowed.slice(from)) {
      sum += BigInt(cost);
      const spanMs = BigInt(atMs - (allowed[from]?.atMs ?? 0));
      if ((sum - BigInt(burst)) * BigInt(windowMs) > spanMs * BigInt(limit)) {
        throw new Violation(`${sum} calls in ${spanMs} ms of ${limit} in ${windowMs} ms, at most ${burst} at once`);
      }
    }
  }
}
