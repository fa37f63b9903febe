import type { Bench } from "./bench.js";

/** Something that does an operation again and again, beside others that do. */
export interface Contender {
  readonly name: string;
  /** Makes ready for so many operations; not timed. */
  prepare?(operations: number): Promise<unknown>;
  /** Does so many operations, as fast as it can. */
  run(operations: number): Promise<unknown>;
}

/** Milliseconds an operation, a figure a round, by the contenders' names. */
export type Times = ReadonlyMap<string, readonly number[]>;

const FIRST_OPERATIONS = 64;

/**
 * Has all contenders take turns, in another order in each round. A turn takes about the same time for each, so that the fast
 * and the slow see the same machine.
 */
export async function race(bench: Bench, contenders: readonly Contender[]): Promise<Times> {
  const { rounds } = bench.scale;
  const sizes = new Map<string, number>();
  for (const contender of contenders) sizes.set(contender.name, await sizeOf(bench, contender));
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`round ${round} of ${rounds}`);
    for (const contender of bench.random.shuffle(contenders)) {
      times.get(contender.name)?.push(await timed(bench, contender, sizes.get(contender.name) ?? 1));
    }
  }
  return times;
}

/** How many operations fill a turn: twice as many, and again, so that it is warm when the first round begins. */
async function sizeOf(bench: Bench, contender: Contender): Promise<number> {
  const { turnMs } = bench.scale;
  for (let operations = FIRST_OPERATIONS; ; operations *= 2) {
    // The better of two: the first calls of all are slow by themselves.
    const tries = [await timed(bench, contender, operations), await timed(bench, contender, operations)];
    const tookMs = Math.min(...tries) * operations;
    if (tookMs > turnMs / 2) return Math.ceil((operations * turnMs) / tookMs);
  }
}

async function timed({ lab }: Bench, contender: Contender, operations: number): Promise<number> {
  await lab.clear();
  await contender.prepare?.(operations);
  const startedMs = performance.now();
  await contender.run(operations);
  return (performance.now() - startedMs) / operations;
}

export const CLIENTS = 64;

/** The operation `operations` times, by so many clients at once; each takes the next number, from 0, and says who it is. */
export async function concurrently(
  operations: number,
  operation: (n: number, client: number) => Promise<unknown>,
  clients = CLIENTS,
): Promise<void> {
  let next = 0;
  const work = async (client: number): Promise<void> => {
    while (next < operations) await operation(next++, client);
  };
  await Promise.all(Array.from({ length: Math.min(clients, operations) }, (_, client) => work(client)));
}
