import { type Command, Option } from "commander";
import { CompletionTracker, type ListedGroup, type ListedRequest, RequestWaitTracker } from "../../src/index.js";
import { MAX_LIMIT, OWED, STATES } from "../../src/trackers/group/list.js";
import { connect } from "../connect.js";
import { type Printer, printerOf, type SubjectFlags } from "../context.js";
import { oldestDueMs } from "../due.js";
import { seconds, wholeNumber } from "../numbers.js";
import { listText } from "../report/list.js";
import { type Settings, settingsOf } from "../settings.js";
import type { Cli } from "../terminal.js";
import { shellWord } from "../text/printable.js";
import { when } from "../text/time.js";

type ListState = "open" | "stuck" | "ended" | "completed" | "failed" | "timed_out" | "cancelled";

interface LsOptions extends SubjectFlags {
  readonly state?: ListState;
  readonly delivery?: "pending" | "unhandled" | "dead";
  readonly olderThan?: number;
  readonly after?: string;
  readonly limit?: number;
}

export function addLs(program: Command, cli: Cli): void {
  const command = program
    .command("ls")
    .description("Lists groups by their state, or by the callback that they owe.")
    .option("--request", "requests, not groups")
    .addOption(new Option("--state <state>", "stuck: open, and no ack for a while (default: open)").choices(STATES))
    .addOption(new Option("--delivery <state>", "only groups that owe such a callback").choices(OWED))
    .option("--older-than <duration>", "in their state for so long; stuck: without an ack for so long (5m)", seconds)
    .option("--limit <number>", "how many to look at: 1 to 100", wholeNumber(1, MAX_LIMIT))
    .option("--after <position>", "the position that the page before named");
  command.action(async () => {
    const options = command.optsWithGlobals<LsOptions>();
    const print = printerOf(cli, options);
    const settings = settingsOf(options, cli.env);
    const page = await pageOf(options, settings, cli);
    await noteDue(cli, settings, print);
    if (print.isJson) return print.json(page);
    print.text(listText(page.items, print.paint, cli.nowMs()));
    noteNext(page, print);
  });
}

/** A drain is at most this late when it runs every minute. */
const LATE_MS = 120_000;

/** Redis has no timer: due work that waits for long says that nothing drains, whatever the lists show. */
async function noteDue(cli: Cli, settings: Settings, print: Printer): Promise<void> {
  if (settings.backend !== "upstash") return;
  const nowMs = cli.nowMs();
  const oldestMs = await oldestDueMs(settings, nowMs, cli.signal);
  if (oldestMs === undefined) return;
  const since = `The oldest due work was due ${when(oldestMs, nowMs)}`;
  print.note(nowMs - oldestMs < LATE_MS ? `${since}.` : `${since}: nothing drains this database.`);
}

async function pageOf(options: LsOptions, settings: Settings, cli: Cli) {
  const coordinator = await connect(settings);
  const { state, delivery, olderThan: olderThanSec, after, limit } = options;
  const query = { delivery, olderThanSec, after, limit, signal: cli.signal };
  if (options.request !== true) return new CompletionTracker(coordinator).list({ ...query, state });
  // The tracker refuses a state that requests do not have, and names those that they have.
  const requests = new RequestWaitTracker(coordinator, { stages: "any" });
  return requests.list({ ...query, state: state as Exclude<ListState, "completed" | "failed"> | undefined });
}

interface Page {
  readonly items: readonly (ListedGroup | ListedRequest)[];
  readonly next: string | null;
}

function noteNext({ items, next }: Page, print: Printer): void {
  if (next !== null) print.note(`More may follow: --after ${shellWord(next)}`);
  else if (items.length === 0) print.note("None.");
}
