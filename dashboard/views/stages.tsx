import type { Kind } from "../../cli/snapshot.js";
import { printable } from "../../cli/text/printable.js";
import { grouped } from "../../cli/text/time.js";
import type { GroupStage, GroupStatus } from "../../src/delivery/group-status.js";

type Column = readonly [title: string, field: keyof GroupStage];

const ALWAYS: readonly Column[] = [
  ["total", "total"],
  ["open", "open"],
];
/** A request counts its work also without tasks. */
const COLUMNS: Readonly<Record<Kind, readonly Column[]>> = {
  group: [...ALWAYS, ["succeeded", "succeeded"], ["failed", "failed"], ["requeued", "requeueCount"]],
  request: [...ALWAYS, ["processed", "processed"], ["requeued", "requeueCount"], ["errors", "errorCount"]],
};

export function Stages({ kind, status: { stages } }: { readonly kind: Kind; readonly status: GroupStatus }) {
  const lines = Object.entries(stages);
  if (lines.length === 0) return null;
  return (
    // It scrolls by itself on small screens: the focus lets a keyboard scroll it.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable
    <section class="scrolls" aria-labelledby="stages" tabIndex={0}>
      <h2 id="stages">Stages</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">stage</th>
            {COLUMNS[kind].map(([title]) => (
              <th scope="col">{title}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.map(([stage, counts]) => (
            <tr key={stage}>
              <th scope="row">{printable(stage)}</th>
              {COLUMNS[kind].map(([, field]) => (
                <td>{grouped(counts[field])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
