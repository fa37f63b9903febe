import type { Command } from "commander";
import { CoordinationError, type GroupTask } from "../../src/index.js";
import { type SubjectContext, subjectCommand, subjectContext } from "../context.js";
import { EXIT } from "../exit.js";
import type { Relative, Why } from "../report/explanation.js";
import { whyText } from "../report/sentences.js";
import { childIds, explain, explainUnknown, isOfTask, NAMED_TASKS, ownerOf, settles } from "../report/why.js";
import { backendWords } from "../settings.js";
import type { Snapshot } from "../snapshot.js";
import { allTasks, type ChildTask, type Subject } from "../subject.js";
import type { Cli } from "../terminal.js";

/** The largest page, since a page with a state may hold few of the tasks that it looks at. */
const PAGE = 1_000;

export function addWhy(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "why", "Says what a group waits for, since when, and what ends it.");
  command.action(async (id: string) => {
    const context = await subjectContext(cli, id, command);
    const { subject, settings } = context;
    const snapshot = await subject.snapshot();
    if (snapshot === null) {
      const place = backendWords(settings);
      answer(context, explainUnknown(subject, { place, other: settings.other }), null);
      return cli.exitWith(EXIT.notFound);
    }
    const open = snapshot.status.state === "open" ? await openTasks(subject) : [];
    const relatives = await relativesOf(context, snapshot, open ?? []);
    answer(context, explain({ snapshot, open, relatives, backend: settings.backend, nowMs: cli.nowMs() }), snapshot);
  });
}

function answer({ subject, print }: SubjectContext, why: Why, snapshot: Snapshot | null): void {
  if (!print.isJson) print.text(whyText(why, print.paint));
  else print.json({ kind: subject.kind, id: subject.id, state: snapshot?.state ?? null, ...why });
}

/** Returns the first open tasks; null where the group has no list of tasks. */
async function openTasks(subject: Subject): Promise<GroupTask[] | null> {
  const found: GroupTask[] = [];
  try {
    for await (const task of allTasks(subject, { state: "open", limit: PAGE })) {
      if (found.push(task) >= NAMED_TASKS) break;
    }
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "unsupported") return null;
    throw error;
  }
  return found;
}

/**
 * Returns the children that the open tasks were added with. Further, groups that are named like an open task, `TASK` or
 * `GROUP/TASK`: those whose parent is this task, and open ones that name no parent.
 */
async function relativesOf(
  { subject, another }: SubjectContext,
  parent: Snapshot,
  open: readonly GroupTask[],
): Promise<Relative[]> {
  if (open.length === 0) return [];
  const declared = await subject.children(NAMED_TASKS);
  const named = open.flatMap(({ stage, taskId }): ChildTask[] => {
    if (declared.some((child) => child.taskId === taskId && child.stage === stage)) return [];
    return childIds(subject.id, taskId).map((id) => ({ stage, taskId, kind: "group", id }));
  });
  const others = [...declared, ...named].filter(({ kind, id }) => kind !== subject.kind || id !== subject.id);
  const looks = others.map(async (child): Promise<Relative[]> => {
    const snapshot = await another(child.id, child.kind).snapshot();
    const isRelative = declared.includes(child) || (snapshot !== null && mayBeChild(snapshot, child, parent));
    return isRelative ? [{ ...child, snapshot }] : [];
  });
  return (await Promise.all(looks)).flat();
}

/** Returns whether a group that is named like a task belongs to it, as far as its status says. */
function mayBeChild({ status }: Snapshot, task: ChildTask, parent: Snapshot): boolean {
  const isOpen = status.state === "open";
  if (status.parent === null) return isOpen;
  const owner = ownerOf(parent);
  return settles(status.parent, task, owner) || (isOpen && isOfTask(status.parent, task, owner));
}
