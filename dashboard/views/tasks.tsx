import { taskName } from "../../cli/report/why.js";
import { printable } from "../../cli/text/printable.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { GroupTask } from "../../src/trackers/group/reader.js";
import type { ApiClient, TaskState } from "../api/client.js";
import { findTasks } from "../api/find-tasks.js";
import { type Pages, usePages } from "../hooks.js";
import { useState } from "../lifetime.js";
import { Loading, More } from "../parts/notices.js";
import type { SubjectId } from "../place.js";
import { retryOf } from "../steps.js";
import { StepButton } from "./step-button.js";

const STATES: readonly { readonly state: TaskState; readonly label: string; readonly none: string }[] = [
  { state: "open", label: "Missing", none: "No task is missing." },
  { state: "failed", label: "Failed", none: "No task has failed." },
  { state: "succeeded", label: "Succeeded", none: "No task has succeeded yet." },
];

/** The tasks of one state. */
export type TaskPages = Pages<GroupTask, number>;

interface Props {
  readonly api: ApiClient;
  readonly subject: SubjectId;
  readonly status: GroupStatus;
  readonly version: string;
  readonly apply: (status: GroupStatus | null) => void;
}

/** Returns the tasks in a state, anew for each version. */
export function useTasks({ api, subject, version }: Omit<Props, "apply" | "status">, state: TaskState): TaskPages {
  return usePages<GroupTask, number>((after) => findTasks(api, subject, { state, after: after ?? 0 }), {
    list: state,
    version,
  });
}

/** The tasks by state: first those that are missing, which the view has read already. */
export function Tasks({ open, ...props }: Props & { readonly open: TaskPages }) {
  const [state, setState] = useState<TaskState>("open");
  if (props.status.total === 0) return null;
  return (
    <section aria-labelledby="tasks">
      <h2 id="tasks">Tasks</h2>
      {open.first === null ? (
        <p>The group was registered with a number of tasks, so it has no list of them.</p>
      ) : (
        <>
          <fieldset class="chips">
            <legend class="hidden">Which tasks</legend>
            {STATES.map((each) => (
              <button
                key={each.state}
                type="button"
                aria-pressed={String(each.state === state)}
                onClick={() => setState(each.state)}
              >
                {each.label}
              </button>
            ))}
          </fieldset>
          {state === "open" ? (
            <TaskList {...props} state={state} pages={open} />
          ) : (
            <OtherTasks {...props} state={state} />
          )}
        </>
      )}
    </section>
  );
}

function OtherTasks(props: Props & { readonly state: TaskState }) {
  return <TaskList {...props} pages={useTasks(props, props.state)} />;
}

interface ListProps extends Props {
  readonly state: TaskState;
  readonly pages: TaskPages;
}

function TaskList({ api, subject, status, apply, state, pages }: ListProps) {
  const { none } = STATES.find((each) => each.state === state) ?? { none: "" };
  return (
    <>
      {pages.first === undefined && pages.fault === undefined ? <Loading what="tasks" /> : null}
      <ul class="lines">
        {pages.items.map((task) => (
          <li key={`${task.stage ?? ""}/${task.taskId}`}>
            <span class="id">{taskName(task)}</span>
            {task.error === null ? null : <span class="message">{printable(task.error)}</span>}
            {state === "failed" && status.state === "open" ? (
              <StepButton api={api} action={retryOf(subject, status, task)} apply={apply} />
            ) : null}
          </li>
        ))}
      </ul>
      {pages.first && pages.items.length === 0 ? (
        <p>{pages.next === null ? none : "None among the first ones."}</p>
      ) : null}
      <More pages={pages} what="tasks" />
    </>
  );
}
