/** The limiter's answer. */
export interface Taken {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number;
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
const MAX_TALLIES = 1_000;

interface Tally {
  left: number;
  untilMs: number;
  /** Calls of this cost or a larger one are refused until then. */
  deniedCost: number;
  deniedUntilMs: number;
  /** How many requests ask the limiter now. */
  asking: number;
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
   * Returns 0 when the cost fits, or after how many milliseconds it will.
   *
   * @param ask asks the limiter, in the request's own name: requests must not wait for each other's calls.
   */
  async take(
    { key, limit, windowMs }: Rate,
    { cost: wanted, nowMs }: { readonly cost: number; readonly nowMs: number },
    ask: (cost: number) => Promise<Taken>,
  ): Promise<number> {
    // A batch that is larger than the whole rate would never fit.
    const cost = Math.min(wanted, limit);
    const tally = this.#tallyOf(key);
    const deniedMs = tally.deniedUntilMs - nowMs;
    if (cost >= tally.deniedCost && deniedMs > 0 && deniedMs <= windowMs) return deniedMs;
    if (nowMs >= tally.untilMs || nowMs < tally.untilMs - BLOCK_MS) tally.left = 0;
    if (tally.left >= cost) {
      tally.left -= cost;
      return 0;
    }
    // Requests that come together would else take a block each.
    const block = tally.asking > 0 ? cost : Math.max(cost, Math.floor(limit * BLOCK_SHARE));
    tally.asking += 1;
    try {
      const { allowed, remaining, retryAfterMs } = await ask(block);
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
      tally.asking -= 1;
    }
  }

  #tallyOf(key: string): Tally {
    const tally = this.#tallies.get(key) ?? { left: 0, untilMs: 0, deniedCost: 1, deniedUntilMs: 0, asking: 0 };
    // The map keeps the order of use: the first one was used least lately.
    this.#tallies.delete(key);
    this.#tallies.set(key, tally);
    const [oldest = key] = this.#tallies.keys();
    if (this.#tallies.size > MAX_TALLIES) this.#tallies.delete(oldest);
    return tally;
  }
}
