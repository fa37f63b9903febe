import type { Kind } from "../../cli/snapshot.js";
import { printable } from "../../cli/text/printable.js";
import { grouped, when } from "../../cli/text/time.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import { Badge } from "../parts/badge.js";

/** The callback of a group or request, and its attempts. */
export function Delivery({
  kind,
  status,
  nowMs,
}: {
  readonly kind: Kind;
  readonly status: GroupStatus;
  readonly nowMs: number;
}) {
  const { state, deliveryId, attempts, lastError, nextAttemptAtMs } = status.delivery;
  return (
    <section aria-labelledby="delivery">
      <h2 id="delivery">Callback</h2>
      {state === "none" ? (
        <p>
          {status.state === "open"
            ? `None yet: it is queued when the ${kind} ends, if the registration has one.`
            : "The registration has no durable callback for this end."}
        </p>
      ) : (
        <dl class="facts-list">
          <Line name="state">
            <Badge state={state} label={state === "dead" ? "dead letter" : state} />
          </Line>
          <Line name="attempts">{grouped(attempts)}</Line>
          {deliveryId === null ? null : (
            <Line name="delivery id">
              <span class="id">{printable(deliveryId)}</span>
            </Line>
          )}
          {lastError === null ? null : <Line name="last error">{printable(lastError)}</Line>}
          {nextAttemptAtMs === null ? null : <Line name="next attempt">{when(nextAttemptAtMs, nowMs)}</Line>}
        </dl>
      )}
    </section>
  );
}

/** A name and its value, in a list of facts. */
export function Line({ name, children }: { readonly name: string; readonly children?: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children as string}</dd>
    </div>
  );
}
