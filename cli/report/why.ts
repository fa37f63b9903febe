import type { GroupParent, GroupTask } from "../../src/index.js";
import { isId } from "../../src/lib/validate.js";
import type { BackendName } from "../settings.js";
import type { Snapshot } from "../snapshot.js";
import { printable, quoted } from "../text/printable.js";
import { count, grouped, when } from "../text/time.js";
import { deliveryFindings, deliveryHeadline } from "./delivery.js";
import type { Finding, Relative, Remedy, Why, WhyInput } from "./explanation.js";
import { subjectOf } from "./subject.js";

/** How many open tasks `why` names. */
export const NAMED_TASKS = 20;

/** Explains a group or a request: what it waits for, since when, what ends it, and which command helps. */
export function explain(input: WhyInput): Why {
  const { snapshot } = input;
  if (snapshot.status.state !== "open") {
    const { headline, isOver } = deliveryHeadline(snapshot);
    const { findings, remedies } = deliveryFindings(input);
    return {
      headline,
      findings: [...endFindings(input), ...parentFindings(snapshot), ...findings],
      remedies: isOver ? [] : remedies,
    };
  }
  return {
    headline: openHeadline(snapshot),
    findings: [
      ...parentFindings(snapshot),
      ...taskFindings(input),
      ...failureFindings(snapshot),
      lastAck(input),
      sealed(snapshot),
      ...clocks(input),
      deliverer(input),
      ...input.relatives.map((relative) => childFinding(relative, snapshot)),
    ],
    remedies: openRemedies(input),
  };
}

/** Explains an id that the backend does not know. */
export function explainUnknown(
  { kind, id }: Pick<Snapshot, "kind" | "id">,
  { place, other }: { readonly place: string; readonly other: BackendName | undefined },
): Why {
  const isGroup = kind === "group";
  const remedies: Remedy[] = [
    {
      command: `why ${subjectOf({ kind: isGroup ? "request" : "group", id })}`,
      effect: `look for a ${isGroup ? "request" : "group"} of this id: it is another record`,
    },
  ];
  if (other !== undefined) {
    remedies.push({
      command: `why ${subjectOf({ kind, id }, "--backend", other)}`,
      effect: `look in the other backend that the environment names`,
    });
  }
  return {
    headline: `${kind} ${printable(id)} is not known in ${printable(place)}.`,
    findings: [
      {
        topic: "tasks",
        text: "It was never registered under this id, it has expired, or it was removed.",
      },
      {
        topic: "ends",
        text: "An ended record is kept for its ttlSec, an hour by default. A tenant's token sees its own ids alone.",
      },
    ],
    remedies,
  };
}

const nameOf = ({ kind, id }: Pick<Snapshot, "kind" | "id">): string => `${kind} ${printable(id)}`;

function openHeadline(snapshot: Snapshot): string {
  const { remaining, total, sealed: isSealed } = snapshot.status;
  const name = nameOf(snapshot);
  if (remaining > 0) return `${name} waits for ${grouped(remaining)} of ${count(total, "task")}.`;
  if (total === 0) return `${name} waits for its first task: it has none yet, and is not sealed.`;
  if (snapshot.kind === "request") return `${name} is complete. It has not ended, because it is not sealed.`;
  return isSealed
    ? `${name} has no open task.`
    : `${name} waits for its seal: ${allOf(total)} settled, and more may be added.`;
}

const allOf = (total: number): string => (total === 1 ? "its one task has" : `all ${grouped(total)} tasks have`);

/** Returns a task's name: its id, after its stage where it has one. */
export function taskName({ stage, taskId }: TaskName): string {
  return stage === null ? printable(taskId) : `${printable(stage)}/${printable(taskId)}`;
}

/** Returns the name of the task that waits for a group or a request: `the task images of group report-7`. */
export function parentWords(parent: GroupParent): string {
  const { groupId, requestId, generation } = parent;
  const owner = groupId === null ? `request ${printable(requestId)}` : `group ${printable(groupId)}`;
  return `the task ${taskName(parent)} of ${owner}${generation === null ? "" : `, generation ${generation}`}`;
}

function parentFindings({ status: { parent, state } }: Snapshot): Finding[] {
  if (parent === null) return [];
  const { generation } = parent;
  const task = parentWords({ ...parent, generation: null });
  // The parent is not read: it may have been registered anew meanwhile.
  const limit = generation === null ? "" : `, if that is in generation ${generation}`;
  return [{ topic: "parent", text: `Its end ${state === "open" ? "will settle" : "settles"} ${task}${limit}.` }];
}

function taskFindings({ snapshot, open }: WhyInput): Finding[] {
  const { remaining } = snapshot.status;
  if (remaining === 0) return [];
  if (open === null) {
    return [{ topic: "tasks", text: "It was registered with a number of tasks, so it has no list of the open ones." }];
  }
  const named = open.slice(0, NAMED_TASKS);
  if (named.length === 0) return [];
  const more = remaining - named.length;
  const rest = more > 0 ? `, and ${grouped(more)} more` : "";
  return [{ topic: "tasks", text: `Open: ${named.map(taskName).join(", ")}${rest}.` }];
}

function failureFindings({ status }: Snapshot): Finding[] {
  const { failed, errors, errorCount } = status;
  const [first] = errors;
  if (failed === 0 && errorCount === 0) return [];
  const counts = failed > 0 ? `${count(failed, "task")} failed` : `${count(errorCount, "error")} counted`;
  if (first === undefined) return [{ topic: "failed", text: `${counts}.` }];
  const where = first.taskId === null ? "" : ` of ${taskName({ stage: first.stage, taskId: first.taskId })}`;
  return [{ topic: "failed", text: `${counts}. The first error${where}: ${quoted(first.message)}` }];
}

function lastAck({ snapshot: { status }, nowMs }: WhyInput): Finding {
  const { lastAckAtMs, registeredAtMs } = status;
  const text =
    lastAckAtMs === null
      ? `No task was acked yet. It was registered ${when(registeredAtMs, nowMs)}.`
      : `A task was last acked ${when(lastAckAtMs, nowMs)}.`;
  return { topic: "last ack", text };
}

function sealed({ kind, status }: Snapshot): Finding {
  const until = kind === "group" ? "it does not complete before its seal" : "it is not final before its seal";
  const text = status.sealed
    ? "It is sealed: no more tasks are added."
    : `It is not sealed: more tasks may be added, and ${until}.`;
  return { topic: "sealed", text };
}

/** The clocks that end an open group when no task is acked, and its policy. */
function clocks({ snapshot, nowMs }: WhyInput): Finding[] {
  const { deadlineAtMs } = snapshot.status;
  const clock =
    deadlineAtMs === null
      ? "It has no deadline. It times out after its idleTimeoutSec, or its ttlSec, without a call that changes it."
      : `It times out ${when(deadlineAtMs, nowMs)}, or earlier by its idleTimeoutSec if it has one.`;
  const policy = "It has a policy: it may complete or fail before all tasks have settled.";
  const findings: Finding[] = [{ topic: "ends", text: clock }];
  return snapshot.hasPolicy ? [...findings, { topic: "ends", text: policy }] : findings;
}

function deliverer({ backend }: WhyInput): Finding {
  const text =
    backend === "http"
      ? "After its end the Worker's object makes the callback, if it has one."
      : "After its end the instance of the last ack makes the callback, or a drain whose process has the handler.";
  return { topic: "callback", text };
}

function childFinding(relative: Relative, parent: Snapshot): Finding {
  const { snapshot } = relative;
  const task = `The open task ${taskName(relative)}`;
  const named = snapshot?.status.parent ?? null;
  const isSettled = named !== null && settles(named, relative, ownerOf(parent));
  if (named !== null && !isSettled) {
    const text = `${task} is not settled by the end of ${nameOf(relative)}: its parent is ${parentWords(named)}.`;
    return { topic: "child", text };
  }
  const verb = snapshot === null || isSettled ? "waits for" : "may be";
  return { topic: "child", text: `${task} ${verb} the child ${nameOf(relative)}: ${childState(snapshot)}.` };
}

/** A group or a request that has a task. */
export interface Owner extends Pick<Snapshot, "kind" | "id"> {
  readonly generation: number;
}

/** Returns the owner that a status is of. */
export function ownerOf({ kind, id, status }: Pick<Snapshot, "kind" | "id" | "status">): Owner {
  return { kind, id, generation: status.generation };
}

type TaskName = Pick<GroupTask, "stage" | "taskId">;

/** Returns whether the end of a group or request with this `parent` settles a task of the owner. */
export function settles(parent: GroupParent | null, task: TaskName, owner: Owner): boolean {
  return isOfTask(parent, task, owner) && (parent?.generation ?? owner.generation) === owner.generation;
}

/** Returns whether a `parent` names a task of the owner, in whichever generation. */
export function isOfTask(parent: GroupParent | null, { stage, taskId }: TaskName, { kind, id }: Owner): boolean {
  if (parent === null || parent.stage !== stage || parent.taskId !== taskId) return false;
  return (kind === "group" ? parent.groupId : parent.requestId) === id;
}

/** Returns the ids that an undeclared child of a task may have: `TASK`, and `GROUP/TASK`. */
export function childIds(parentId: string, taskId: string): string[] {
  return [taskId, `${parentId}/${taskId}`].filter((id) => isId(id));
}

function childState(snapshot: Snapshot | null): string {
  if (snapshot === null) return "not registered yet, or expired";
  const { remaining, total, state, delivery } = snapshot.status;
  const progress = `${snapshot.state}, ${grouped(remaining)} of ${count(total, "task")} open`;
  return state === "open"
    ? progress
    : `${progress}, delivery ${delivery.state === "dead" ? "dead letter" : delivery.state}`;
}

/** How far `why` offers to move a deadline. A deadline that is later stays where it is. */
const EXTENSION_MS = 1_800_000;

function openRemedies({ snapshot, open, relatives, nowMs }: WhyInput): Remedy[] {
  const { remaining, failed, deadlineAtMs, sealed: isSealed } = snapshot.status;
  const subject = (...flags: readonly string[]): string => subjectOf(snapshot, ...flags);
  const asks = new Set(relatives.map((child) => `why ${subjectOf(child)}`));
  const remedies: Remedy[] = [...asks].map((command) => ({ command, effect: "ask the same of the child" }));
  if (remaining > NAMED_TASKS && open !== null) {
    remedies.push({
      command: `tasks ${subject("--state", "open")}`,
      effect: "list all open tasks, to send them again",
    });
  }
  if (failed > 0) remedies.push({ command: `retry ${subject("--failed")}`, effect: "open the failed tasks again" });
  if (!isSealed && remaining === 0) {
    remedies.push({ command: `seal ${subject()}`, effect: "say that no more tasks come: it then completes" });
  }
  if (deadlineAtMs !== null && deadlineAtMs - nowMs < EXTENSION_MS) {
    remedies.push({ command: `extend ${subject("--by", "30m")}`, effect: "move the deadline to 30 minutes from now" });
  }
  remedies.push({ command: `watch ${subject()}`, effect: "follow it to its end" });
  remedies.push({ command: `cancel ${subject("--reason", "TEXT")}`, effect: "end it now, with its child groups" });
  return remedies;
}

/** How an ended group came to its end. */
function endFindings({ snapshot, nowMs }: WhyInput): Finding[] {
  const { status } = snapshot;
  const { remaining, total } = status;
  const openTasks = `${grouped(remaining)} of ${count(total, "task")} open`;
  const findings: Finding[] = [];
  if (status.state === "timed_out") {
    const by = { deadline: "its deadline", idle: "its idle timeout", silent: "its ttlSec without a call" }[
      status.reason
    ];
    findings.push({ topic: "end", text: `It timed out by ${by}, with ${openTasks}.` });
  } else if (status.state === "cancelled") {
    findings.push({ topic: "end", text: `It was cancelled, with ${openTasks}. The reason: ${quoted(status.reason)}` });
  } else if (status.state === "failed") {
    const text = `It failed, because its policy could no longer be met: ${count(status.failed, "task")} of ${grouped(total)} failed.`;
    findings.push({ topic: "end", text });
  } else if (status.completionReason === "min_successful_reached") {
    findings.push({ topic: "end", text: `Enough tasks succeeded: ${grouped(status.succeeded)}, with ${openTasks}.` });
  }
  const ended: Finding[] =
    status.endedAtMs === null ? [] : [{ topic: "end", text: `It ended ${when(status.endedAtMs, nowMs)}.` }];
  return [...findings, ...failureFindings(snapshot), ...ended];
}
