import type { Outcome } from "./verdict.js";

/** What happened to the processes of a run, on purpose and otherwise. */
export interface Incidents {
  readonly copies: number;
  readonly redelivered: number;
  readonly workersKilled: number;
  /** Messages that were in the killed workers' hands. */
  readonly dropped: number;
  /** "the Worker", or what stands in its place; undefined where there is none. */
  readonly serverName: string | undefined;
  readonly serverKills: number;
  readonly serverAwayMs: number;
  readonly elapsedMs: number;
}

/** The table at the end of a run. */
export function reportTable(outcome: Outcome, incidents: Incidents): string {
  const rows = [
    ...documentRows(outcome),
    ...ackRows(outcome),
    ...faultRows(outcome, incidents),
    ...latencyRows(outcome),
  ];
  rows.push(["time", seconds(incidents.elapsedMs)]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}\n`).join("");
}

type Row = [name: string, text: string];

function documentRows({ expectations, entries, tally }: Outcome): Row[] {
  const chunks = expectations.reduce((sum, expectation) => sum + expectation.chunks, 0);
  const ended = (state: string) => entries.filter((entry) => entry.state === state).length;
  const effects = [...tally.effects.values()].reduce((sum, count) => sum + count, 0);
  const most = Math.max(0, ...tally.effects.values());
  return [
    [
      "documents",
      `${expectations.length}: ${ended("completed")} published, ${ended("timed_out")} timed out (made to stall, for its watchdog)`,
    ],
    ["chunks", `${chunks}: ${tally.chunks} acked`],
    [
      "callbacks",
      `${tally.attempts} attempts, ${effects} effects (at most ${most} a document), ${tally.repeats} repeats dropped`,
    ],
  ];
}

function ackRows({ tally }: Outcome): Row[] {
  const all = [...tally.acks.values()].reduce((sum, count) => sum + count, 0);
  const verdicts = [...tally.acks].sort((a, b) => b[1] - a[1]).map(([verdict, count]) => `${count} ${verdict}`);
  const perAck = (tally.ackRequests / Math.max(1, all)).toFixed(3);
  const requests = `${perAck} on average; ${tally.ackedAtOnce} of ${all} took one`;
  return [
    ["acks", `${all}: ${verdicts.join(", ")}`],
    ["requests per ack", tally.ackRequests === 0 ? "none: no network" : requests],
  ];
}

function faultRows({ tally }: Outcome, incidents: Incidents): Row[] {
  const { copies, redelivered, workersKilled, dropped, serverName, serverKills, serverAwayMs } = incidents;
  const rows: Row[] = [
    ["messages", `${copies} came twice, ${redelivered} were handed over again`],
    ["worker processes", `${workersKilled} killed with ${dropped} messages in hand`],
    ["lost answers", `${tally.lostAnswers} of the receiver's, after the effect`],
  ];
  if (serverName !== undefined) {
    rows.push([
      serverName,
      `killed ${serverKills === 1 ? "once" : `${serverKills} times`}, away ${seconds(serverAwayMs)}`,
    ]);
  }
  return rows;
}

function latencyRows({ tally, expectations }: Outcome): Row[] {
  const latencies = tally.latenciesMs();
  if (latencies.length === 0) return [];
  const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)].map((ms) => `${ms.toFixed(1)} ms`);
  const measured = `${latencies.length} of ${expectations.length} documents`;
  return [["last ack to waiter", `p50 ${p50}, p99 ${p99} (${measured})`]];
}

/** By the nearest rank. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
