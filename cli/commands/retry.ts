import type { Command } from "commander";
import type { TaskRef } from "../../src/index.js";
import { lookedIn, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { allTasks, notFound, type Subject } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";
import { count } from "../text/time.js";

interface RetryOptions {
  readonly failed?: boolean;
  readonly stage?: string;
}

/** The most tasks of one call. */
const TASKS_A_CALL = 1_000;

export function addRetry(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "retry", "Opens failed tasks of an open group again. Then send them again.")
    .argument("[tasks...]", "the ids of the tasks")
    .option("--failed", "all failed tasks")
    .option("--stage <stage>", "the stage of the tasks; with --failed only those of this stage");
  command.action(async (id: string, taskIds: readonly string[]) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const tasks = await tasksOf(subject, taskIds, command.opts<RetryOptions>());
    let reopened = 0;
    for (let at = 0; at < tasks.length; at += TASKS_A_CALL) {
      const redone = await subject.retry(tasks.slice(at, at + TASKS_A_CALL));
      if (redone.outcome === "unknown") throw notFound(subject, lookedIn(settings));
      if (redone.outcome === "late") throw late(subject);
      reopened += redone.reopened;
    }
    if (print.isJson) print.json({ asked: tasks.length, reopened });
    else print.text(`${count(reopened, "task")} of ${tasks.length} opened again. Send them to your workers again.\n`);
    if (tasks.length > 0 && reopened === 0) cli.exitWith(EXIT.refused);
  });
}

async function tasksOf(
  subject: Subject,
  taskIds: readonly string[],
  { failed, stage }: RetryOptions,
): Promise<TaskRef[]> {
  if ((failed === true) === taskIds.length > 0) throw new Failure(EXIT.usage, "name tasks, or give --failed");
  if (failed !== true) return taskIds.map((id) => (stage === undefined ? id : { stage, id }));
  const found: TaskRef[] = [];
  for await (const task of allTasks(subject, { state: "failed", limit: TASKS_A_CALL })) {
    if (stage !== undefined && task.stage !== stage) continue;
    found.push(task.stage === null ? task.taskId : { stage: task.stage, id: task.taskId });
  }
  return found;
}

function late({ kind, id }: Subject): Failure {
  return new Failure(
    EXIT.refused,
    `${kind} ${printable(id)} has ended, and nothing is retried after the end: register it again with restart`,
  );
}
