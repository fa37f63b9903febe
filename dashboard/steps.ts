import { taskName } from "../cli/report/why.js";
import { printable } from "../cli/text/printable.js";
import { count, fromNow, inWords } from "../cli/text/time.js";
import type { TaskRef } from "../src/core/group/record.js";
import type { RetryOutput } from "../src/core/group/repair.js";
import type { GroupView } from "../src/core/group/view.js";
import type { GroupStatus } from "../src/delivery/group-status.js";
import type { GroupTask } from "../src/trackers/group/reader.js";
import { type ApiClient, statusOf } from "./api/client.js";
import type { SubjectId } from "./place.js";

/** The fields that a person filled in, in the dialog of an action. */
export interface Entered {
  readonly reason: string;
  readonly seconds: number;
  readonly cascade: boolean;
}

/** The outcome of an action: a sentence, and the status where the answer has it. */
export interface Outcome {
  readonly text: string;
  readonly status: GroupStatus | null;
}

/** An action on a group or a request, and the words of its confirmation. */
export interface Action {
  /** The label of its button. */
  readonly label: string;
  readonly title: string;
  /** Its effects, and the effects that a person may wrongly expect. */
  readonly effects: readonly string[];
  /** The field of the dialog. */
  readonly asks?: "duration" | "reason";
  readonly isDangerous?: boolean;
  run(api: ApiClient, entered: Entered): Promise<Outcome>;
}

/** Returns the actions that a group or a request takes now: first those that mend. */
export function actionsOf(subject: SubjectId, status: GroupStatus, nowMs: number): Action[] {
  if (status.state !== "open") return status.delivery.state === "none" ? [] : [redeliver(subject, status)];
  const actions: Action[] = [];
  if (status.failed > 0) actions.push(retryAll(subject, status));
  if (status.deadlineAtMs !== null) actions.push(extend(subject, status, nowMs));
  if (!status.sealed) actions.push(seal(subject, status));
  return [...actions, cancel(subject, status)];
}

function redeliver(subject: SubjectId, { generation, delivery }: GroupStatus): Action {
  const effects = [
    "The callback is queued again at once, with a full set of attempts.",
    `It keeps its delivery id ${printable(delivery.deliveryId ?? "")}, so that a receiver recognises a repeat.`,
  ];
  if (delivery.state === "delivered") effects.unshift("It was delivered already: the receiver gets it once more.");
  if (delivery.lastError?.startsWith("no running instance") === true) {
    effects.push("Deploy a version that can make it first: until then it waits.");
  }
  if (delivery.state === "dead") effects.push("If the cause is not mended, it becomes a dead letter again.");
  return {
    label: "Redeliver",
    title: "Make the callback again?",
    effects,
    async run(api) {
      const output = await api.run(subject, "redeliver", { op: newOp(), generation });
      return outcomeOf(subject, output, "The callback is queued.");
    },
  };
}

const RETRY_EFFECTS = [
  "A failed task is open again, and its failure no longer counts.",
  "This does not start the work: send the task to your queue again.",
];

/** Opens one failed task again. */
export function retryOf(subject: SubjectId, { generation }: GroupStatus, task: GroupTask): Action {
  return {
    label: "Retry",
    title: `Open the task ${taskName(task)} again?`,
    effects: RETRY_EFFECTS,
    run: async (api) => {
      const input = { op: newOp(), tasks: [refOf(task)], generation };
      return reopened(subject, [await api.run(subject, "retry", input)]);
    },
  };
}

/** The largest page of tasks, and the most of one call. */
const MOST_TASKS = 1_000;

function retryAll(subject: SubjectId, { generation, failed }: GroupStatus): Action {
  return {
    label: "Retry failed tasks",
    title: `Open ${failed === 1 ? "the failed task" : `all ${count(failed, "failed task")}`} again?`,
    effects: RETRY_EFFECTS,
    run: async (api) => {
      const answers: RetryOutput[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const page = await api.tasks(subject, { state: "failed", after, limit: MOST_TASKS });
        const tasks = (page?.items ?? []).map(refOf);
        if (tasks.length > 0) answers.push(await api.run(subject, "retry", { op: newOp(), tasks, generation }));
        after = page?.next ?? null;
      }
      return reopened(subject, answers);
    },
  };
}

function refOf({ taskId, stage }: GroupTask): TaskRef {
  return stage === null ? { id: taskId } : { stage, id: taskId };
}

function reopened(subject: SubjectId, answers: readonly RetryOutput[]): Outcome {
  // A letter for each task: "r" for one that is open again.
  const number = answers.reduce((sum, { letters = "" }) => sum + letters.split("r").length - 1, 0);
  const last = answers.at(-1);
  if (last === undefined) return { text: "Nothing was opened: no failed task is listed.", status: null };
  const text = {
    retried: `${count(number, "task")} opened again.`,
    late: `Nothing was opened: the ${subject.kind} has ended meanwhile.`,
    unknown: `Nothing was opened: the ${subject.kind} is gone, or was registered anew.`,
  }[last.outcome];
  return { text, status: statusOf(subject.id, last) };
}

function extend(subject: SubjectId, { generation, deadlineAtMs }: GroupStatus, nowMs: number): Action {
  const due = deadlineAtMs === null ? "" : ` It times out ${fromNow(deadlineAtMs, nowMs)} now.`;
  return {
    label: "Extend",
    title: "Move the deadline?",
    effects: [`The ${subject.kind} gets more time, counted from now.${due}`, "A deadline that is later already stays."],
    asks: "duration",
    async run(api, { seconds }) {
      const timeoutMs = seconds * 1_000;
      const output = await api.run(subject, "extend", { op: newOp(), timeoutMs, generation });
      return outcomeOf(subject, output, `The deadline is in ${inWords(timeoutMs)}, or later where it was later.`);
    },
  };
}

function seal(subject: SubjectId, { generation, remaining }: GroupStatus): Action {
  const { kind } = subject;
  const then =
    remaining === 0 ? `No task is open, so the ${kind} completes.` : `The ${kind} completes after its open tasks.`;
  return {
    label: "Seal",
    title: "Say that no more tasks come?",
    effects: [then, "Calls that add tasks are refused from then on. This cannot be undone."],
    async run(api) {
      const output = await api.run(subject, "seal", { op: newOp(), generation });
      return outcomeOf(subject, output, `The ${kind} is sealed.`);
    },
  };
}

function cancel(subject: SubjectId, { generation, remaining }: GroupStatus): Action {
  const { kind } = subject;
  return {
    label: `Cancel ${kind}`,
    title: `End this ${kind} now?`,
    effects: [`${count(remaining, "open task")} will not count any more. This cannot be undone.`],
    asks: "reason",
    isDangerous: true,
    async run(api, { reason, cascade }) {
      const spares = cascade ? {} : { sparesChildren: true };
      const output = await api.run(subject, "cancel", { reason, generation, ...spares });
      return outcomeOf(subject, output, `The ${kind} is cancelled.`);
    },
  };
}

/** Returns the outcome of a step. A step without a view found nothing to change. */
function outcomeOf({ kind, id }: SubjectId, output: { readonly view?: GroupView }, text: string): Outcome {
  const status = statusOf(id, output);
  return { text: status === null ? `Nothing was changed: the ${kind} is gone.` : text, status };
}

/** Returns a new operation id. Without https the browser has no `crypto.randomUUID`. */
function newOp(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
