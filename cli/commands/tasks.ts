import { type Command, Option } from "commander";
import type { GroupTask } from "../../src/index.js";
import { lookedIn, type Printer, subjectCommand, subjectContext } from "../context.js";
import { wholeNumber } from "../numbers.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";
import { colourOf } from "../text/paint.js";
import { printable, quoted } from "../text/printable.js";
import { table } from "../text/table.js";

interface TasksOptions {
  readonly state?: GroupTask["state"];
  readonly after: number;
  readonly limit: number;
  readonly all?: boolean;
}

const DEFAULT_LIMIT = 100;
const LARGEST_PAGE = 1_000;

export function addTasks(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "tasks", "Lists the tasks of a group, a page at a time.")
    .addOption(new Option("--state <state>", "only tasks in this state").choices(["open", "succeeded", "failed"]))
    .option("--limit <number>", "how many tasks to look at: 1 to 1,000", wholeNumber(1, LARGEST_PAGE), DEFAULT_LIMIT)
    .option("--after <position>", "the position that the page before named", wholeNumber(0, 1_000_000_000), 0)
    .option("--all", "all pages");
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const { state, after, limit, all } = command.opts<TasksOptions>();
    let position: number | null = after;
    do {
      const page = await subject.tasks({ state, after: position, limit: all === true ? LARGEST_PAGE : limit });
      if (page === null) throw notFound(subject, lookedIn(settings));
      if (all === true) for (const task of page.items) printTask(task, print);
      else if (print.isJson) print.json(page);
      else print.text(table(page.items.map((task) => cellsOf(task, print))));
      position = page.next;
    } while (all === true && position !== null);
    if (position !== null && !print.isJson) print.note(`More tasks follow: --after ${position}`);
  });
}

function cellsOf({ taskId, stage, state, error }: GroupTask, { paint }: Printer): string[] {
  const cells = [paint(colourOf(state), state), stage === null ? "" : printable(stage), printable(taskId)];
  return error === null ? cells : [...cells, quoted(error, 300)];
}

/** All tasks of a large group are printed as their pages come, so the columns have no common width. */
function printTask(task: GroupTask, print: Printer): void {
  if (print.isJson) print.json(task);
  else print.text(`${cellsOf(task, print).join("\t")}\n`);
}
