import type { Line, Shown } from "./table.js";

const SIMULATED = `## What the tests simulate

- **Redis** is a real redis-server behind the REST server of this repository (\`npm run redis\`). That server speaks
  Upstash's protocol. A local Redis does not show how the hosted service replicates, bills, limits rates or fails over.
  T7 loses the tail of a real replication between two local servers.
- **Durable Objects** run in workerd, the runtime itself, on one machine. Its storage, its alarms with their retries and
  its output gates are real. The placement, migration and failover of the hosted platform are missing. The tests abort
  objects and kill the process instead of an eviction.
- **The network** between clients and servers is real HTTP through a proxy that injects faults (T4, T9). The simulator
  (T3) injects clock, network and instances. One seed is one run, and \`npm run simulate -- --seed N\` prints it.
- **Time** of minutes and hours is a clock that the tests move. Alarms by the platform's own clock, waits, timeouts and
  overshoots use real time.
- No test ran on Vercel, Cloudflare or Upstash themselves.
`;

/** `docs/guarantees.md`, of what a run has shown. */
export function documentOf(table: {
  readonly faults: readonly Line[];
  readonly found: readonly Line[];
  readonly polling: ReadonlyMap<string, readonly Shown[]>;
  readonly figures: readonly Line[];
}): string {
  return `# Guarantees

This page lists each promise with its backends, its test, and the figure that the test reached.
\`npm run guarantees\` writes this page from the last test run. \`npm run prove\` first runs the tests in their long form.
CI fails if a test run no longer shows a row of this page.

## Promises

- A delivery is made at least once. A receiver that deduplicates by the delivery's id has one effect per generation of a
  group.
- A group completes only when every distinct task was acked. Otherwise it times out, or a caller cancels it.
- The end of a group never changes. Counts equal distinct events, however often, early or late these come.
- No waiter sees success after a failure was recorded. Unknown is never complete.
- Every record, wait, retry and list has an end.
- No more callers hold a permit of a key than it has, by the server's clock. A key's fencing tokens grow.
- One of the concurrent runs of a key works. Its duplicates get its result, for the window.
- Any span D admits at most \`burst + D · limit / window\` calls of a rate limit's key.

The library does not promise:

- that a handler runs only once;
- that two records change together;
- that work starts only once, or that a permit excludes others without its fencing token;
- on Upstash, that a write survives a failover.

## Figures

| row | promise | backend | reached | shown by |
|---|---|---|---|---|
${table.figures.flatMap(figureLines).join("\n")}

## Faults of earlier designs

Each row went wrong in a design that polls counters, or in an early design of this library. *Polling design* is a small
port of the former, in \`test/polling\`. It runs the same interleaving on the same Redis.

| # | promise | holds on | polling design |
|---|---|---|---|
${table.faults.map((line) => faultLine(line, table.polling.get(line.row) ?? [])).join("\n")}

## Faults found by use

Each fault was found in the built library, by use, load or attack. The tests that name a row show it. *Holds on* lists
the backends on which the conformance cases show it too.

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
