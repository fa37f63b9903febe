import type { Kind } from "../../cli/snapshot.js";
import { printable } from "../../cli/text/printable.js";
import { count, fromNow, grouped } from "../../cli/text/time.js";
import type { Listed } from "../api/client.js";
import { subjectAddress } from "../place.js";
import { Badge } from "./badge.js";

interface Props {
  readonly kind: Kind;
  readonly items: readonly Listed[];
  readonly nowMs: number;
}

/** Groups or requests as links, one a line. */
export function Rows({ kind, items, nowMs }: Props) {
  return (
    <ul class="rows">
      {items.map((item) => (
        <li key={item.id}>
          <a href={subjectAddress({ kind, id: item.id })}>
            <span class="id">{printable(item.id)}</span>
            <span class="badges">
              <Badge state={item.state} />
              {item.delivery === null ? null : (
                <Badge state={item.delivery} label={DELIVERY_LABELS[item.delivery] ?? item.delivery} />
              )}
            </span>
            <span class="facts">{factsOf(item, nowMs)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

const DELIVERY_LABELS: Readonly<Record<string, string>> = {
  dead: "dead letter",
  unhandled: "unhandled",
  pending: "callback pending",
};

function factsOf(item: Listed, nowMs: number): string {
  const { total, succeeded, failed, registeredAtMs, lastAckAtMs, endedAtMs, deadlineAtMs } = item;
  const parts = [`${grouped(succeeded + failed)} of ${count(total, "task")}`];
  if (failed > 0) parts.push(`${grouped(failed)} failed`);
  if (endedAtMs !== null) parts.push(`ended ${fromNow(endedAtMs, nowMs)}`);
  else if (lastAckAtMs !== null) parts.push(`last ack ${fromNow(lastAckAtMs, nowMs)}`);
  else parts.push(`registered ${fromNow(registeredAtMs, nowMs)}, no ack yet`);
  if (endedAtMs === null && deadlineAtMs !== null) parts.push(`times out ${fromNow(deadlineAtMs, nowMs)}`);
  return parts.join(" · ");
}
