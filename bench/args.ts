import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface Args {
  readonly isHelp: boolean;
  /** Takes about a minute instead of eight: fewer and shorter rounds. */
  readonly isQuick: boolean;
  readonly seed: number;
  /** The measures to run; empty: all. A partial run writes nothing. */
  readonly only: readonly string[];
}

export const HELP = `npm run bench -- [options]

Compares edge-coordinator with bare calls, hand-written scripts, the polling design and BullMQ, in one run.

  --quick        a short run of about a minute; writes nothing
  --seed N       select the order of the arms: 0 to 4294967295, default 1
  --only NAME    run only this measure, may be repeated; writes nothing
  --help         print this text
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
