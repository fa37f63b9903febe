import type { Line, Shown } from "./table.js";

const SIMULATED = `## What is simulated, and what is not

- **Redis** is a real redis-server behind the REST server of this repository (\`npm run redis\`), which speaks Upstash's protocol. A local
  Redis cannot show how the hosted service replicates, bills, rate-limits or fails over; T7 loses the tail of a real
  replication between two local servers.
- **Durable Objects** are workerd, the runtime itself, on one machine: its storage, its alarms with their retries, its output gates. The
  placement, migration and failover of the hosted platform are not there; evictions are produced by aborting objects and by
  killing the process.
- **The network** between clients and servers is real HTTP through a proxy that breaks it (T4, T9). In the simulator (T3) clock, network and
  instances are injected: one seed is one run, and \`npm run simulate -- --seed N\` prints it.
- **Time** in cases of minutes and hours is moved, not waited for. Alarms that ring by the platform's own clock, waits, timeouts and overshoots
  are real time.
- Nothing here ran on Vercel, Cloudflare or Upstash themselves.
`;

/** `docs/guarantees.md`, of what a run has shown. */
export function documentOf(table: {
  readonly faults: readonly Line[];
  readonly found: readonly Line[];
  readonly polling: ReadonlyMap<string, readonly Shown[]>;
  readonly figures: readonly Line[];
}): string {
  return `# Guarantees

Each promise, where it holds, what shows it, and the figure that was reached. \`npm run guarantees\` writes this page from the last run of
the tests; \`npm run prove\` runs them in their long form first. CI fails when a run no longer shows a row of this page.

## What is promised

- One effect a generation of a group, for a receiver that keys on the delivery's id. The delivery itself is made at least once.
- A group completes only when every distinct task was acked; otherwise it times out, or somebody cancels it.
- How a group ended never changes. Counts equal distinct events, however often, early or late these come.
- No waiter sees success after a failure was recorded. What is unknown is never complete.
- Nothing is without an end: every record, wait, retry and list has one.

What is not promised: a handler that runs only once, two records that change together, and, on Upstash, that what was written
survives a failover.

## Figures

| row | promise | backend | reached | shown by |
|---|---|---|---|---|
${table.figures.flatMap(figureLines).join("\n")}

## Faults that were met

Each row went wrong in a design that polls counters, or in an early design of this library. *Polling design*: a small port of it,
in \`test/polling\`, that runs the same interleaving on the same Redis.

| # | promise | holds on | polling design |
|---|---|---|---|
${table.faults.map((line) => faultLine(line, table.polling.get(line.row) ?? [])).join("\n")}

## Faults that were found by use

Each was found in the built library, by use, load or attack. The tests that name a row show it; *holds on* says on which backends the
conformance cases show it too.

| # | promise | holds on | shown by |
|---|---|---|---|
${table.found.map(foundLine).join("\n")}

${SIMULATED}`;
}

/** The library's backends, and then those of users. */
const ORDER = ["memory", "upstash", "durable-object", "http", "custom", "D1"];

function figureLines({ row, promise, shown }: Line): string[] {
  return [...shown].flatMap(([backend, all]) =>
    all.map(({ reached, file }, i) => {
      const isFirst = i === 0 && backend === [...shown.keys()][0];
      return cells(isFirst ? row : "", isFirst ? promise : "", backend, reached, `\`${file}\``);
    }),
  );
}

function faultLine({ row, promise, shown }: Line, polling: readonly Shown[]): string {
  const fails = [...new Set(polling.map(({ reached }) => reached))].join("; ");
  return cells(row.replace("fault ", ""), promise, backendsOf(shown), fails);
}

function foundLine({ row, promise, shown }: Line): string {
  const files = [...new Set([...shown.values()].flat().map(({ file }) => `\`${file}\``))].sort();
  const named = files.filter((file) => !file.startsWith("`test/conformance/"));
  const shownBy = [...(named.length < files.length ? ["conformance cases"] : []), ...named];
  return cells(row.replace("fault ", ""), promise, backendsOf(shown), shownBy.join(", "));
}

function backendsOf(shown: Line["shown"]): string {
  const backends = [...shown.keys()].filter((backend) => backend !== "");
  return backends.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b)).join(", ");
}

const cells = (...texts: string[]): string => `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
