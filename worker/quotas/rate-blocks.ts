/** The limiter's answer. */
export interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number;
  /** Allowed, because the limiter did not answer. */
  readonly isUnchecked: boolean;
}

/** A rate of one tenant. */
export interface Rate {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
}

/** The share of a rate that an isolate takes at a time. */
const BLOCK_SHARE = 1 / 20;
/** How long an isolate may spend a block. */
const BLOCK_MS = 10_000;
/** How many rates are remembered. A rate that is forgotten loses the rest of its block. */
const MAX_TALLIES = 10_000;
/** How long the limiter is not asked after it has not answered. */
const UNCHECKED_MS = 1_000;
/** How long a request asks at most. The platform may drop it without a further line of its code. */
const ASKING_MS = 3_000;

interface Tally {
  left: number;
  untilMs: number;
  /** Calls of this cost or a larger one are refused until then. */
  deniedCost: number;
  deniedUntilMs: number;
  /** Another request may be asking the limiter until then. */
  askingUntilMs: number;
  /** The limiter is not asked before. */
  uncheckedUntilMs: number;
}

const NEW_TALLY: Readonly<Tally> = {
  left: 0,
  untilMs: 0,
  deniedCost: 1,
  deniedUntilMs: 0,
  askingUntilMs: 0,
  uncheckedUntilMs: 0,
};

/** Whether a time of at most `ms` is not over. After a clock was set back, it is. */
function isWithin(untilMs: number, nowMs: number, ms: number): boolean {
  return nowMs < untilMs && nowMs >= untilMs - ms;
}

/**
 * The blocks of rates that this isolate has taken for its tenants. A block is a twentieth, so that most calls need no round
 * trip. Denials are remembered, and hold until their time.
 *
 * A block counts when it is taken. So no more calls are allowed than the limiter gave. An isolate may spend what it took for
 * ten seconds, and loses the rest.
 */
export class RateBlocks {
  readonly #tallies = new Map<string, Tally>();

  get size(): number {
    return this.#tallies.size;
  }

  /**
   * Returns 0 when the cost fits, or after how many milliseconds it will. While the limiter does not answer, every cost fits.
   *
   * @param ask asks the limiter, in the request's own name: requests must not wait for each other's calls.
   */
  async take(
    { key, limit, windowMs }: Rate,
    { cost, nowMs }: { readonly cost: number; readonly nowMs: number },
    ask: (cost: number) => Promise<Taken>,
  ): Promise<number> {
    const tally = this.#tallyOf(key);
    if (cost >= tally.deniedCost && isWithin(tally.deniedUntilMs, nowMs, windowMs)) return tally.deniedUntilMs - nowMs;
    if (!isWithin(tally.untilMs, nowMs, BLOCK_MS)) tally.left = 0;
    if (tally.left >= cost) {
      tally.left -= cost;
      return 0;
    }
    if (isWithin(tally.uncheckedUntilMs, nowMs, UNCHECKED_MS)) return 0;
    // Requests that come together would else take a block each.
    const isAsked = isWithin(tally.askingUntilMs, nowMs, ASKING_MS);
    const block = isAsked ? cost : Math.max(cost, Math.floor(limit * BLOCK_SHARE));
    if (!isAsked) tally.askingUntilMs = nowMs + ASKING_MS;
    try {
      const { allowed, remaining, retryAfterMs, isUnchecked } = await ask(block);
      if (isUnchecked) {
        tally.uncheckedUntilMs = nowMs + UNCHECKED_MS;
        return 0;
      }
      const isPart = !allowed && remaining >= cost;
      if (allowed || (isPart && (await ask(cost)).allowed)) {
        tally.left += allowed ? block - cost : 0;
        tally.untilMs = nowMs + BLOCK_MS;
        return 0;
      }
      const waitMs = Math.max(1, Math.ceil(retryAfterMs - ((block - cost) * windowMs) / limit));
      Object.assign(tally, { deniedCost: cost, deniedUntilMs: nowMs + waitMs });
      return waitMs;
    } finally {
      if (!isAsked) tally.askingUntilMs = 0;
    }
  }

  #tallyOf(key: string): Tally {
    const tally = this.#tallies.get(key) ?? { ...NEW_TALLY };
    // The map keeps the order of use: the first one was used least lately.
    this.#tallies.delete(key);
    this.#tallies.set(key, tally);
    const [oldest = key] = this.#tallies.keys();
    if (this.#tallies.size > MAX_TALLIES) this.#tallies.delete(oldest);
    return tally;
  }
}
