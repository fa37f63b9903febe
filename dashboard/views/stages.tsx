import { printable } from "../../cli/text/printable.js";
import { grouped } from "../../cli/text/time.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";

export function Stages({ status: { stages } }: { readonly status: GroupStatus }) {
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
            <th scope="col">total</th>
            <th scope="col">open</th>
            <th scope="col">succeeded</th>
            <th scope="col">failed</th>
            <th scope="col">requeued</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(([stage, { total, open, succeeded, failed, requeueCount }]) => (
            <tr key={stage}>
              <th scope="row">{printable(stage)}</th>
              <td>{grouped(total)}</td>
              <td>{grouped(open)}</td>
              <td>{grouped(succeeded)}</td>
              <td>{grouped(failed)}</td>
              <td>{grouped(requeueCount)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
