import { parseArgs } from "node:util";
import { Complaint } from "./complaint.js";

export const BACKENDS = ["worker", "upstash", "memory"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** What the command line asks for. */
export type Args =
  | { readonly command: "help" }
  | { readonly command: "query"; readonly text: string; readonly state: string | undefined }
  | ({ readonly command: "run" } & RunArgs);

export interface RunArgs {
  readonly backend: BackendName;
  /** A folder of documents; undefined for the READMEs of the installed packages. */
  readonly path: string | undefined;
  readonly seed: number;
  /** The port of the Worker (or of the REST server); 0 for a free one. */
  readonly port: number;
  readonly processes: number;
  /** How many documents at most. */
  readonly limit: number;
  /** Where the index is kept; undefined for `.demo` in the project's folder. */
  readonly state: string | undefined;
}

export const HELP = `npm run demo -- [PATH] [options]

Indexes documents with stateless worker processes. edge-coordinator tells them when all chunks of a document are done.

  PATH               a folder of .md, .txt, .rst … files; default: the READMEs of the installed packages
  --backend NAME     worker: the Worker in workerd (default) | upstash: Redis over REST | memory: one process
  --query TEXT       search the index of the last run, and exit
  --seed N           select the injected faults: 0 to 4294967295, default 1
  --limit N          the most documents to index: 1 to 1000, default 100
  --processes N      number of worker processes: 2 to 16, default 3
  --port N           port of the Worker or of the REST server; default: a free port
  --state FOLDER     folder of the index, inside the project; default: .demo
  --help             print this text
`;

const OPTIONS = {
  backend: { type: "string", default: "worker" },
  query: { type: "string" },
  seed: { type: "string", default: "1" },
  limit: { type: "string", default: "100" },
  processes: { type: "string", default: "3" },
  port: { type: "string" },
  state: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

/** @throws Complaint for what it does not understand. */
export function readArgs(argv: readonly string[]): Args {
  const { values, positionals } = parse(argv);
  if (values.help) return { command: "help" };
  if (values.query !== undefined) {
    if (values.query.trim() === "") throw new Complaint("--query needs a text to search for");
    return { command: "query", text: values.query, state: values.state };
  }
  if (positionals.length > 1) throw new Complaint(`one PATH at most, not ${positionals.length}`);
  return {
    command: "run",
    backend: backendName(values.backend),
    path: positionals[0],
    seed: integer(values.seed, "--seed", 0, 2 ** 32 - 1),
    port: values.port === undefined ? 0 : integer(values.port, "--port", 1, 65_535),
    processes: integer(values.processes, "--processes", 2, 16),
    limit: integer(values.limit, "--limit", 1, 1_000),
    state: values.state,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // The first sentence of what node:util says names the option.
    const message = error instanceof Error ? error.message : String(error);
    throw new Complaint(`${message.split(/\.\s/)[0]} (--help lists the options)`);
  }
}

function backendName(text: string): BackendName {
  const name = BACKENDS.find((known) => known === text);
  if (name === undefined) throw new Complaint(`there is no backend "${text}": choose ${BACKENDS.join(", ")}`);
  return name;
}

function integer(text: string, option: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new Complaint(`${option} must be a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}
