import { Model, type Said, type Step, type Stored } from "./model.js";

/** A store that runs steps from nothing: what it said to each, and what it held in the end. */
export type RunSteps = (steps: readonly Step[]) => Promise<{ said: Said[]; state: Record<string, Stored> }>;

/** Where a store and the model part; `undefined` when they agree to the end. */
async function difference(steps: readonly Step[], run: RunSteps): Promise<string | undefined> {
  const model = new Model();
  const wanted = steps.map((step) => JSON.stringify(model.apply(step)));
  const { said, state } = await run(steps);
  for (const [i, want] of wanted.entries()) {
    const got = JSON.stringify(said[i]);
    if (got !== want) return `step ${i} said\n  ${got}\nand the model\n  ${want}`;
  }
  const held = model.state();
  for (const name of new Set([...Object.keys(held), ...Object.keys(state)])) {
    const [got, want] = [JSON.stringify(state[name]), JSON.stringify(held[name])];
    if (got !== want) return `${JSON.stringify(name)} is held as\n  ${got}\nand by the model as\n  ${want}`;
  }
  return undefined;
}

/** The fewest steps found that still differ: leaves out ever smaller pieces as long as the difference stays. */
async function shrunk(steps: readonly Step[], run: RunSteps): Promise<readonly Step[]> {
  let rest = steps;
  let budget = 400;
  for (let size = Math.ceil(rest.length / 2); size >= 1 && budget > 0; ) {
    let isSmaller = false;
    for (let from = 0; from < rest.length && budget-- > 0; ) {
      const fewer = [...rest.slice(0, from), ...rest.slice(from + size)];
      if (fewer.length > 0 && (await difference(fewer, run)) !== undefined) {
        rest = fewer;
        isSmaller = true;
      } else from += size;
    }
    if (!isSmaller || size > rest.length) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return rest;
}

/** Throws with the shortest sequence found when the store says or holds anything else than the model. */
export async function expectAgreement(steps: readonly Step[], run: RunSteps): Promise<void> {
  if ((await difference(steps, run)) === undefined) return;
  const fewest = await shrunk(steps, run);
  const lines = fewest.map(({ nowMs, transition, id, input }) => {
    return `  +${nowMs - (fewest[0]?.nowMs ?? 0)} ms ${transition} ${JSON.stringify(id)} ${JSON.stringify(input)}`;
  });
  throw new Error(`the stores part:\n${lines.join("\n")}\n${await difference(fewest, run)}`);
}
