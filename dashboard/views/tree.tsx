import { taskName } from "../../cli/report/why.js";
import { printable } from "../../cli/text/printable.js";
import { count, grouped } from "../../cli/text/time.js";
import type { ApiClient } from "../api/client.js";
import { readTree, type TreeNode } from "../api/tree.js";
import { useLoaded } from "../hooks.js";
import { Badge } from "../parts/badge.js";
import { Fault } from "../parts/notices.js";
import { groupAddress } from "../place.js";

interface Props {
  readonly api: ApiClient;
  readonly id: string;
  readonly version: string;
}

/** A child changes without its parent: so often the tree is read again. */
const EVERY_MS = 15_000;

/** The groups that the open tasks wait for, and theirs. */
export function Tree({ api, id, version }: Props) {
  const { value, fault, reload } = useLoaded(() => readTree(api, id), { key: `${id} ${version}`, everyMs: EVERY_MS });
  if (value === undefined) return fault === undefined ? null : <Fault error={fault} again={reload} />;
  if (value.children.length === 0) return null;
  return (
    <section aria-labelledby="children">
      <h2 id="children">Child groups of open tasks</h2>
      <Branch nodes={value.children} parent={id} />
      {value.isCut ? <p class="quiet">There are more. Open a child to see its own.</p> : null}
    </section>
  );
}

function Branch({ nodes, parent }: { readonly nodes: readonly TreeNode[]; readonly parent: string }) {
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <li key={node.id}>
          <Node node={node} parent={parent} />
          {node.children.length === 0 ? null : <Branch nodes={node.children} parent={node.id} />}
          {node.isCut ? <p class="quiet">It has more children.</p> : null}
        </li>
      ))}
    </ul>
  );
}

function Node({ node, parent }: { readonly node: TreeNode; readonly parent: string }) {
  const { kind, id, status } = node;
  const name = <span class="id">{`${kind === "request" ? "request " : ""}${printable(id)}`}</span>;
  const words = (
    <>
      {name}
      <span class="badges">
        {isLeaf(node) ? <Badge state="pending" label="look here" /> : null}
        <Badge state={status?.state ?? "plain"} label={status === null ? "unknown" : undefined} />
      </span>
      <span class="facts">{`for the task ${taskName(node)} · ${progressOf(node)}`}</span>
    </>
  );
  return kind === "group" ? <a href={groupAddress(id, parent)}>{words}</a> : <div class="leaf">{words}</div>;
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
