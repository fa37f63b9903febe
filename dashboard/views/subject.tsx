import { explain, ownerOf, parentWords, taskName } from "../../cli/report/why.js";
import { stateOf } from "../../cli/snapshot.js";
import { printable } from "../../cli/text/printable.js";
import { count, grouped } from "../../cli/text/time.js";
import type { GroupParent, GroupStatus } from "../../src/delivery/group-status.js";
import type { ApiClient } from "../api/client.js";
import { follow, type Link } from "../api/follow.js";
import { useCalm, useNow } from "../hooks.js";
import { useEffect, useState } from "../lifetime.js";
import { Badge } from "../parts/badge.js";
import { Heading } from "../parts/heading.js";
import { Fault, Loading } from "../parts/notices.js";
import { overviewAddress, type SubjectId, subjectAddress } from "../place.js";
import { Actions } from "./actions.js";
import { Delivery } from "./delivery.js";
import { Facts } from "./facts.js";
import { Registration } from "./registration.js";
import { Results } from "./results.js";
import { Stages } from "./stages.js";
import { Tasks, useTasks } from "./tasks.js";
import { Tree } from "./tree.js";

interface Props {
  readonly api: ApiClient;
  readonly subject: SubjectId;
}

interface Followed {
  /** Undefined before the first answer; null for an unknown id. */
  readonly status: GroupStatus | null | undefined;
  readonly link: Link;
  readonly fault: unknown;
  /** Shows the status that a step answered with, and follows anew. */
  apply(status: GroupStatus | null): void;
}

/** How often the lists of tasks follow changes, at most. */
const CALM_MS = 2_000;

/** One group or request: why it waits, its tasks, its children, its callback, and what a person can do. */
export function Subject({ api, subject }: Props) {
  const { status, link, fault, apply } = useFollowed(api, subject);
  const { kind, id } = subject;
  const title = kind === "group" ? "Group" : "Request";
  return (
    <main>
      <nav aria-label="Way back" class="trail">
        <a href={overviewAddress(kind)}>All lists</a>
        {status?.parent ? <ParentLink parent={status.parent} /> : null}
      </nav>
      <Heading name={`${title} ${printable(id)}`}>
        <span class="quiet">{`${title} `}</span>
        <span class="id">{printable(id)}</span>
      </Heading>
      {fault === undefined ? null : <Fault error={fault} again={() => apply(status ?? null)} />}
      {status === undefined && fault === undefined ? <Loading what={`the ${kind}`} /> : null}
      {status === null && fault === undefined ? <Unknown subject={subject} again={() => apply(null)} /> : null}
      {status ? <Known api={api} subject={subject} status={status} link={link} apply={apply} /> : null}
    </main>
  );
}

function ParentLink({ parent }: { readonly parent: GroupParent }) {
  const { groupId, requestId } = parent;
  const owner: SubjectId = groupId === null ? { kind: "request", id: requestId } : { kind: "group", id: groupId };
  return <a href={subjectAddress(owner)}>{`Part of: ${parentWords(parent)}`}</a>;
}

function useFollowed(api: ApiClient, subject: SubjectId): Followed {
  const [status, setStatus] = useState<GroupStatus | null | undefined>(undefined);
  const [link, setLink] = useState<Link>("connecting");
  const [fault, setFault] = useState<unknown>(undefined);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const left = new AbortController();
    setFault(undefined);
    setLink("connecting");
    const follower = { onStatus: setStatus, onLink: setLink, onFault: setFault };
    void follow(api, subject, follower, left.signal);
    return () => left.abort();
  }, [api, subject.kind, subject.id, turn]);
  return {
    status,
    link,
    fault,
    apply: (next) => {
      if (next !== null) setStatus(next);
      setTurn((last) => last + 1);
    },
  };
}

function Unknown({ subject: { kind, id }, again }: { readonly subject: SubjectId; readonly again: () => void }) {
  const other = kind === "group" ? "request" : "group";
  return (
    <div class="notice">
      <p>
        <strong>{`The Worker knows no ${kind} ${printable(id)}.`}</strong>
      </p>
      <p>
        {`It is not registered yet, or it has expired: an ended ${kind} is kept for its ttlSec, an hour by default.`} A
        tenant's token sees its own ids alone.
      </p>
      <button type="button" onClick={again}>
        Look again
      </button>{" "}
      <a class="all" href={subjectAddress({ kind: other, id })}>{`Look for a ${other} with this id`}</a>
    </div>
  );
}

interface KnownProps {
  readonly api: ApiClient;
  readonly subject: SubjectId;
  readonly status: GroupStatus;
  readonly link: Link;
  readonly apply: (status: GroupStatus | null) => void;
}

function Known({ api, subject, status, link, apply }: KnownProps) {
  const nowMs = useNow(1_000);
  const version = useCalm(`${status.version} ${status.delivery.state}`, CALM_MS);
  const open = useTasks({ api, subject, version }, "open");
  // Policies are in no status, so the sentence about them is left out.
  const state = stateOf(subject.kind, status);
  const snapshot = { ...subject, status, state, hasPolicy: false };
  const isCounted = open.first === null;
  const why = explain({ snapshot, open: isCounted ? null : open.items, relatives: [], backend: "http", nowMs });
  return (
    <>
      <p class="states">
        <Badge state={state} />
        {state === "complete" ? <span>{status.state === "open" ? "not final" : "final"}</span> : null}
        <LinkState link={link} />
      </p>
      <p class="headline">{why.headline}</p>
      <Progress status={status} />
      <Actions api={api} subject={subject} status={status} apply={apply} nowMs={nowMs} />
      <Facts findings={why.findings} />
      <Stages kind={subject.kind} status={status} />
      <Tree api={api} owner={ownerOf(snapshot)} version={version} open={open.items} />
      <Tasks api={api} subject={subject} status={status} version={version} apply={apply} open={open} />
      <Errors status={status} />
      <Results api={api} subject={subject} status={status} version={version} />
      <Delivery kind={subject.kind} status={status} nowMs={nowMs} />
      <Registration status={status} nowMs={nowMs} />
    </>
  );
}

const LINK_WORDS: Readonly<Record<Link, string>> = {
  connecting: "connecting",
  live: "live",
  reconnecting: "connection lost, trying again",
  ended: "no more changes expected",
};

function LinkState({ link }: { readonly link: Link }) {
  return <span class={`link ${link}`}>{LINK_WORDS[link]}</span>;
}

/** The bar, and its text. Screen readers receive the text at most every five seconds. */
function Progress({ status }: { readonly status: GroupStatus }) {
  const { total, remaining, succeeded, failed } = status;
  const settled = total - remaining;
  const text = `${grouped(settled)} of ${count(total, "task")}: ${grouped(succeeded)} succeeded, ${grouped(failed)} failed, ${grouped(remaining)} open`;
  const spoken = useCalm(`${status.state.replace("_", " ")}, ${text}`, 5_000);
  return (
    <div class="progress">
      <progress value={settled} max={Math.max(1, total)} aria-label="Settled tasks" />
      <p>{text}</p>
      <p class="hidden" role="status" aria-live="polite">
        {spoken}
      </p>
    </div>
  );
}

function Errors({ status: { errors, errorCount } }: { readonly status: GroupStatus }) {
  if (errors.length === 0) return null;
  const more = errorCount - errors.length;
  return (
    <section aria-labelledby="errors">
      <h2 id="errors">
        Errors <span class="quiet">{grouped(errorCount)}</span>
      </h2>
      <ul class="lines">
        {errors.map(({ taskId, stage, message }) => (
          <li>
            <span class="id">{taskId === null ? "(no task)" : taskName({ taskId, stage })}</span>
            <span class="message">{printable(message)}</span>
          </li>
        ))}
      </ul>
      {more > 0 ? <p class="quiet">{`The first ${errors.length}. ${count(more, "more error")}.`}</p> : null}
    </section>
  );
}
