import type prices from "./prices.json";
import type { Run } from "./report.js";

/** How many tasks the group has that is billed, and how many such groups the table is about. */
export const BILL_TASKS = 100;
const GROUPS = 1_000;
/** How long each group's waiter waits, in the table. */
const WAIT_SEC = 30;
/** A waiter on Redis looks about so often, besides at each message; one on an object begins anew. */
const LOOK_SEC = 4.5;
const HOP_SEC = 25;

type Prices = typeof prices;

/** What one group takes of what is billed, without its waiter, and what a waiter takes: at once, and each second. */
interface Use {
  readonly arm: string;
  readonly group: Units;
  readonly waiter: Units;
  readonly second: Units;
}

interface Units {
  readonly commands?: number;
  readonly objectRequests?: number;
  readonly rows?: number;
  readonly objectSeconds?: number;
  readonly workerRequests?: number;
}

const NOTHING: Units = {};

/** `docs/costs.md`, of a run's counts and the prices. */
export function costsOf(run: Run, prices: Prices): string {
  const uses = usesOf(run);
  const lines = uses.map((use) => lineOf(use, prices));
  return `# Costs

The cost of ${GROUPS.toLocaleString("en")} groups of ${BILL_TASKS} tasks, each with one waiter that waits ${WAIT_SEC} seconds.

- \`npm run costs\` writes this page. The counts are those of [the benchmarks](../bench/README.md), counted by the servers.
- The prices, of ${prices.date}, are in \`bench/prices.json\`. The free allowances of the plans are not subtracted.
- The table leaves out reads of rows, storage and traffic, since they are small.

| | a group | its waiter, at once | and each second | ${GROUPS.toLocaleString("en")} groups, no waiter | with waiters |
|---|---|---|---|---|---|
${lines.join("\n")}

Prices:

- Upstash: $${prices.upstashPerMillionCommands} a million commands. Upstash also counts the commands inside scripts.
- Durable Objects: $${prices.objectPerMillionRequests} a million requests, $${prices.objectPerMillionRowsWritten} a million rows written.
- Durable Objects: $${prices.objectPerMillionGbSeconds} a million GB-seconds, at ${prices.objectGb} GB an object that is awake.
- Workers: $${prices.workerPerMillionRequests} a million requests.
- Sources: ${Object.values(prices.sources).join(", ")}.

## How it grows

- **Tasks**: acks one by one cost in proportion to the tasks. On Redis a batch costs as much as its calls. On an object
  a call writes one row for a group of up to 32 KB: some 500 tasks with UUIDs as ids. A large result takes one row more.
  For a larger group an ack writes two rows, three with a result. Its registration writes a row for each task.
- **Numbered tasks**: with \`{ indexed: n }\`, 32 KB hold some 30,000 tasks.
- **Waiters on Redis**: a client's waiters share its subscription. Each wait also reads the status about every ${LOOK_SEC}
  seconds.
- **Waiters on an object**: the first pays for the seconds that the object is awake. Each other waiter pays for one
  request every ${HOP_SEC} seconds.
- **Seconds waited**: they cost little on Redis, and most in the polling design. An object is awake and billed while a
  caller waits. With long waits and many groups, use a callback instead of a waiter.
- **Idle time**: an object costs nothing. On Redis an idle drain takes 65 commands. Every thirty seconds, that is
  187,200 commands a day, or $0.37.
`;
}

function usesOf(run: Run): Use[] {
  const results = run.sections.find(({ name }) => name === "bill")?.results ?? [];
  const countOf = (arm: string): number => {
    const value = results.find((result) => result.arm === arm)?.value;
    if (value === undefined) throw new Error(`the run has no figure of ${arm}: run the benchmarks first`);
    return value;
  };
  const look = countOf("ours, one look of a waiter");
  // At once: a look, one when the subscription stands, one at the message.
  const waiter = { commands: 3 * look };
  const second = { commands: look / LOOK_SEC };
  const rows = results.find(({ unit }) => unit === "rows")?.value ?? Number.NaN;
  const object = { objectRequests: BILL_TASKS + 1, rows };
  // The group's row is written once a call.
  const batch = { objectRequests: 2, rows: rows - (BILL_TASKS - 1) };
  const watching = { objectRequests: 1 };
  const awake = { objectRequests: 1 / HOP_SEC, objectSeconds: 1 };
  const behind = (units: Units): Units => ({ ...units, workerRequests: units.objectRequests ?? 0 });
  return [
    { arm: "Upstash, one by one", group: { commands: countOf("ours, one by one") }, waiter, second },
    { arm: "Upstash, 100 a call", group: { commands: countOf("ours, 100 a call") }, waiter, second },
    { arm: "Durable Object, one by one", group: object, waiter: watching, second: awake },
    { arm: "Durable Object, 100 a call", group: batch, waiter: watching, second: awake },
    {
      arm: "Worker over HTTP, one by one",
      group: behind(object),
      waiter: behind(watching),
      second: { ...awake, workerRequests: 1 / HOP_SEC },
    },
    {
      arm: "polling design on Upstash",
      group: { commands: countOf("polling design, acks alone") },
      waiter: NOTHING,
      second: { commands: countOf("polling design, one owner and one waiter") },
    },
  ];
}

function lineOf({ arm, group, waiter, second }: Use, prices: Prices): string {
  const alone = GROUPS * dollars(group, prices);
  const waited = GROUPS * (dollars(waiter, prices) + WAIT_SEC * dollars(second, prices));
  const cells = [arm, said(group), said(waiter), said(second), money(alone), money(alone + waited)];
  return `| ${cells.join(" | ")} |`;
}

function dollars(units: Units, prices: Prices): number {
  const { commands = 0, objectRequests = 0, rows = 0, objectSeconds = 0, workerRequests = 0 } = units;
  const millionths =
    commands * prices.upstashPerMillionCommands +
    objectRequests * prices.objectPerMillionRequests +
    rows * prices.objectPerMillionRowsWritten +
    objectSeconds * prices.objectGb * prices.objectPerMillionGbSeconds +
    workerRequests * prices.workerPerMillionRequests;
  return millionths / 1_000_000;
}

const NAMES: Readonly<Record<keyof Units, string>> = {
  commands: "commands",
  objectRequests: "object requests",
  rows: "rows",
  objectSeconds: "s awake",
  workerRequests: "Worker requests",
};

function said(units: Units): string {
  const parts = (Object.keys(NAMES) as (keyof Units)[])
    .filter((name) => (units[name] ?? 0) > 0)
    .map((name) => `${Number((units[name] ?? 0).toPrecision(3)).toLocaleString("en")} ${NAMES[name]}`);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

const money = (amount: number): string => `$${amount.toFixed(amount < 0.1 ? 3 : 2)}`;
