/** How often a wait is measured: a busy machine spoils one, a wait that is late by its making spoils all. */
const TRIES = 3;

/**
 * By how much work outlives its time, in milliseconds: beyond a bare timer set in the same turn, which is as late as
 * the machine is busy; the least of three tries. Negative: it ended early.
 */
export async function overshootMs(timeoutMs: number, work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    const startedMs = performance.now();
    const took = (): number => performance.now() - startedMs;
    const bare = new Promise<number>((resolve) => setTimeout(() => resolve(took()), timeoutMs));
    const tookMs = await work().then(took, took);
    least = Math.min(least, tookMs - Math.max(timeoutMs, await bare));
  }
  return least;
}
