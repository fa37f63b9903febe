import { type Owner, taskName } from "../../cli/report/why.js";
import { stateOf } from "../../cli/snapshot.js";
import { printable } from "../../cli/text/printable.js";
import { count, grouped } from "../../cli/text/time.js";
import type { GroupTask } from "../../src/trackers/group/reader.js";
import type { ApiClient, ChildTask } from "../api/client.js";
import { findChildren, readTree, type TreeNode } from "../api/tree.js";
import { useLoaded } from "../hooks.js";
import { useState } from "../lifetime.js";
import { Badge } from "../parts/badge.js";
import { Fault } from "../parts/notices.js";
import { subjectAddress } from "../place.js";

interface Props {
  readonly api: ApiClient;
  readonly owner: Owner;
  readonly version: string;
  /** The first open tasks. */
  readonly open: readonly GroupTask[];
}

/** A child changes without its parent: so often the tree is read again. */
const EVERY_MS = 15_000;

/** The groups that the open tasks wait for, and theirs. */
export function Tree({ api, owner, version, open }: Props) {
  const [found, setFound] = useState<readonly ChildTask[]>([]);
  const key = `${version} ${found.length}`;
  const { value, fault, reload } = useLoaded(() => readTree(api, owner, found), { key, everyMs: EVERY_MS });
  if (value === undefined) return fault === undefined ? null : <Fault error={fault} again={reload} />;
  const nodes = value.children;
  const canSearch = nodes.length === 0 && open.length > 0;
  if (nodes.length === 0 && !canSearch) return null;
  return (
    <section aria-labelledby="children">
      <h2 id="children">Child groups of open tasks</h2>
      {canSearch ? <Search api={api} owner={owner} open={open} onFound={setFound} /> : <Branch nodes={nodes} />}
      {value.isCut ? <p class="quiet">There are more. Open a child to see its own.</p> : null}
    </section>
  );
}

interface SearchProps extends Omit<Props, "version"> {
  readonly onFound: (found: readonly ChildTask[]) => void;
}

/** Children that no call has declared are found by their names, if a person asks: each name is a call of an object. */
function Search({ api, owner, open, onFound }: SearchProps) {
  const [answer, setAnswer] = useState<string | undefined>(undefined);
  const [fault, setFault] = useState<unknown>(undefined);
  const search = async (): Promise<void> => {
    setFault(undefined);
    setAnswer("Looking…");
    try {
      const found = await findChildren(api, owner, open);
      if (found.length > 0) return onFound(found);
      setAnswer("None found. A child may have another name: the lists of groups show those that are stuck.");
    } catch (error) {
      setAnswer(undefined);
      setFault(error);
    }
  };
  return (
    <>
      <p>No open task was added with a child group. A group with the id of a missing task may be one.</p>
      <button type="button" onClick={search}>
        Look for such groups
      </button>
      <p role="status">{answer ?? ""}</p>
      {fault === undefined ? null : <Fault error={fault} />}
    </>
  );
}

function Branch({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <li key={`${node.kind} ${node.id}`}>
          <Node node={node} />
          {node.children.length === 0 ? null : <Branch nodes={node.children} />}
          {node.isCut ? <p class="quiet">It has more children.</p> : null}
        </li>
      ))}
    </ul>
  );
}

function Node({ node }: { readonly node: TreeNode }) {
  const { kind, id, status } = node;
  return (
    <a href={subjectAddress(node)}>
      <span class="id">{`${kind === "request" ? "request " : ""}${printable(id)}`}</span>
      <span class="badges">
        {isLeaf(node) ? <Badge state="pending" label="look here" /> : null}
        <Badge
          state={status === null ? "plain" : stateOf(kind, status)}
          label={status === null ? "unknown" : undefined}
        />
      </span>
      <span class="facts">{`for the task ${taskName(node)} · ${progressOf(node)}`}</span>
    </a>
  );
}

function progressOf({ status }: TreeNode): string {
  if (status === null) return "not registered yet, or expired";
  const { remaining, total } = status;
  if (status.state !== "open") return `${grouped(total - remaining)} of ${count(total, "task")}`;
  return `waits for ${grouped(remaining)} of ${count(total, "task")}`;
}

/** An open group waits for its own workers where no child explains why. */
function isLeaf({ status, children }: TreeNode): boolean {
  return status === null || (status.state === "open" && children.length === 0 && status.remaining > 0);
}
