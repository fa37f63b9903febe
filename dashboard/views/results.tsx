import { taskName } from "../../cli/report/why.js";
import { printable } from "../../cli/text/printable.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { TaskResult } from "../../src/trackers/group/reader.js";
import type { ApiClient } from "../api/client.js";
import { usePages } from "../hooks.js";
import { useState } from "../lifetime.js";
import { More } from "../parts/notices.js";
import type { SubjectId } from "../place.js";

interface Props {
  readonly api: ApiClient;
  readonly subject: SubjectId;
  readonly status: GroupStatus;
  readonly version: string;
}

/** The results of the tasks, in the order of their acks. They are read when a person opens the section. */
export function Results({ api, subject, status, version }: Props) {
  const [isOpen, setOpen] = useState(false);
  if (status.succeeded === 0) return null;
  return (
    <details onToggle={(event: Event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>
        <h2>Results</h2>
      </summary>
      {isOpen ? <ResultLines api={api} subject={subject} version={version} /> : null}
    </details>
  );
}

function ResultLines({ api, subject, version }: Omit<Props, "status">) {
  const pages = usePages<TaskResult, number>((after) => api.results(subject, after ?? 0), {
    list: subject.id,
    version,
  });
  return (
    <>
      <ul class="lines">
        {pages.items.map((item) => (
          <li key={`${item.stage ?? ""}/${item.taskId}`}>
            <span class="id">{taskName(item)}</span>
            <Value value={item.result} />
          </li>
        ))}
      </ul>
      {pages.first && pages.items.length === 0 ? <p>No task left a result.</p> : null}
      <More pages={pages} what="results" />
    </>
  );
}

/** How much of a result is shown at first. */
const MOST = 600;

function Value({ value }: { readonly value: unknown }) {
  const [isWhole, setWhole] = useState(false);
  const text = textOf(value);
  const isLong = text.length > MOST;
  return (
    <>
      <pre>{isLong && !isWhole ? `${text.slice(0, MOST)}…` : text}</pre>
      {isLong ? (
        <button type="button" aria-expanded={String(isWhole)} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : `Show all ${text.length} characters`}
        </button>
      ) : null}
    </>
  );
}

/** The longest result on one line. */
const LINE = 80;

/** Returns a value as JSON text. Line breaks of the JSON text stay; all other characters that could reorder a line are escaped. */
export function textOf(value: unknown): string {
  const line = JSON.stringify(value) ?? "null";
  const text = line.length <= LINE ? line : JSON.stringify(value, null, 2);
  return text.split("\n").map(printable).join("\n");
}
