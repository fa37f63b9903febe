import { when } from "../../cli/text/time.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import { Line } from "./delivery.js";
import { textOf } from "./results.js";

/** Shows the registration: its instant, its generation and its metadata. */
export function Registration({ status, nowMs }: { readonly status: GroupStatus; readonly nowMs: number }) {
  const { registeredAtMs, generation, metadata } = status;
  return (
    <section aria-labelledby="registration">
      <h2 id="registration">Registration</h2>
      <dl class="facts-list">
        <Line name="registered">{when(registeredAtMs, nowMs)}</Line>
        <Line name="generation">{String(generation)}</Line>
        {metadata === null ? null : (
          <Line name="metadata">
            <pre>{textOf(metadata)}</pre>
          </Line>
        )}
      </dl>
    </section>
  );
}
