import { taskName } from "../cli/report/why.js";
import { printable } from "../cli/text/printable.js";
import { count, fromNow, inWords } from "../cli/text/time.js";
import type { GroupStatus } from "../src/delivery/group-status.js";
import type { RetryResult } from "../src/trackers/group/calls.js";
import type { GroupTask } from "../src/trackers/group/reader.js";
import type { ApiClient } from "./api/client.js";

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

/** An action on a group, and the words of its confirmation. */
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

/** Returns the actions that a group takes now: first those that mend. */
export function actionsOf(status: GroupStatus, nowMs: number): Action[] {
  if (status.state !== "open") return status.delivery.state === "none" ? [] : [redeliver(status)];
  const actions: Action[] = [];
  if (status.failed > 0) actions.push(retryAll(status));
  if (status.deadlineAtMs !== null) actions.push(extend(status, nowMs));
  if (!status.sealed) actions.push(seal(status));
  return [...actions, cancel(status)];
}

function redeliver({ groupId, generation, delivery }: GroupStatus): Action {
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
    run: async (api) => ({
      text: "The callback is queued.",
      status: await api.step<GroupStatus>(groupId, "redeliver", { generation }),
    }),
  };
}

const RETRY_EFFECTS = [
  "A failed task is open again, and its failure no longer counts.",
  "This does not start the work: send the task to your queue again.",
];

/** Opens one failed task again. */
export function retryOf({ groupId, generation }: GroupStatus, task: GroupTask): Action {
  return {
    label: "Retry",
    title: `Open the task ${taskName(task)} again?`,
    effects: RETRY_EFFECTS,
    run: async (api) => reopened([await api.step<RetryResult>(groupId, "retry", { tasks: [refOf(task)], generation })]),
  };
}

/** The largest page of tasks, and the most of one call. */
const MOST_TASKS = 1_000;

function retryAll({ groupId, generation, failed }: GroupStatus): Action {
  return {
    label: "Retry failed tasks",
    title: `Open ${failed === 1 ? "the failed task" : `all ${count(failed, "failed task")}`} again?`,
    effects: RETRY_EFFECTS,
    run: async (api) => {
      const answers: RetryResult[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const page = await api.tasks(groupId, { state: "failed", after, limit: MOST_TASKS });
        const tasks = (page?.items ?? []).map(refOf);
        if (tasks.length > 0) answers.push(await api.step<RetryResult>(groupId, "retry", { tasks, generation }));
        after = page?.next ?? null;
      }
      return reopened(answers);
    },
  };
}

function refOf({ taskId, stage }: GroupTask): object {
  return stage === null ? { id: taskId } : { stage, id: taskId };
}

function reopened(answers: readonly RetryResult[]): Outcome {
  const number = answers.reduce((sum, answer) => sum + answer.reopened.length, 0);
  const last = answers.at(-1);
  if (last === undefined) return { text: "Nothing was opened: no failed task is listed.", status: null };
  const text = {
    retried: `${count(number, "task")} opened again.`,
    late: "Nothing was opened: the group has ended meanwhile.",
    unknown: "Nothing was opened: the group is gone, or was registered anew.",
  }[last.outcome];
  return { text, status: last.status };
}

function extend({ groupId, generation, deadlineAtMs }: GroupStatus, nowMs: number): Action {
  const due = deadlineAtMs === null ? "" : ` It times out ${fromNow(deadlineAtMs, nowMs)} now.`;
  return {
    label: "Extend",
    title: "Move the deadline?",
    effects: [`The group gets more time, counted from now.${due}`, "A deadline that is later already stays."],
    asks: "duration",
    run: async (api, { seconds: timeoutSec }) => ({
      text: `The deadline is in ${inWords(timeoutSec * 1_000)}, or later where it was later.`,
      status: await api.step<GroupStatus>(groupId, "extend", { timeoutSec, generation }),
    }),
  };
}

function seal({ groupId, generation, remaining }: GroupStatus): Action {
  const then =
    remaining === 0 ? "No task is open, so the group completes." : "The group completes after its open tasks.";
  return {
    label: "Seal",
    title: "Say that no more tasks come?",
    effects: [then, "Calls that add tasks are refused from then on. This cannot be undone."],
    run: async (api) => ({
      text: "The group is sealed.",
      status: await api.step<GroupStatus>(groupId, "seal", { generation }),
    }),
  };
}

function cancel({ groupId, generation, remaining }: GroupStatus): Action {
  return {
    label: "Cancel group",
    title: "End this group now?",
    effects: [`${count(remaining, "open task")} will not count any more. This cannot be undone.`],
    asks: "reason",
    isDangerous: true,
    run: async (api, { reason, cascade }) => ({
      text: "The group is cancelled.",
      status: await api.step<GroupStatus>(groupId, "cancel", { reason, cascade, generation }),
    }),
  };
}
