import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface Args {
  readonly isHelp: boolean;
  /** About a minute in place of eight: fewer rounds, shorter ones. */
  readonly isQuick: boolean;
  readonly seed: number;
  /** The measures to run; empty: all. What is not run is not written. */
  readonly only: readonly string[];
}

export const HELP = `npm run bench -- [options]

Measures edge-coordinator beside bare calls, hand-written scripts, the polling design and BullMQ, all in one run.

  --quick        about a minute, and nothing is written: to see that it runs
  --seed N       the order in which arms take turns: 0 to 4294967295, default 1
  --only NAME    this measure alone, and nothing is written; may be given again
  --help         this text
`;

const MAX_SEED = 2 ** 32 - 1;

/**
 * @param measures the names that `--only` knows.
 * @throws Error for what it does not understand.
 */
export function readArgs(argv: readonly string[], measures: readonly string[]): Args {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      seed: { type: "string", default: "1" },
      only: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  const seed = Number(values.seed);
  if (!/^\d+$/.test(values.seed) || seed > MAX_SEED) throw new Error(`--seed must be 0 to ${MAX_SEED}`);
  if (values.only.some((name) => !measures.includes(name))) throw new Error(`--only knows ${measures.join(", ")}`);
  return { isHelp: values.help, isQuick: values.quick, seed, only: values.only };
}
