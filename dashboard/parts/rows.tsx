import { printable } from "../../cli/text/printable.js";
import { count, fromNow, grouped } from "../../cli/text/time.js";
import type { ListedGroup } from "../../src/trackers/group/list.js";
import { groupAddress } from "../place.js";
import { Badge } from "./badge.js";

/** Groups as links, one a line. */
export function GroupRows({ items, nowMs }: { readonly items: readonly ListedGroup[]; readonly nowMs: number }) {
  return (
    <ul class="rows">
      {items.map((item) => (
        <li key={item.groupId}>
          <a href={groupAddress(item.groupId)}>
            <span class="id">{printable(item.groupId)}</span>
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

function factsOf(item: ListedGroup, nowMs: number): string {
  const { total, succeeded, failed, registeredAtMs, lastAckAtMs, endedAtMs, deadlineAtMs } = item;
  const parts = [`${grouped(succeeded + failed)} of ${count(total, "task")}`];
  if (failed > 0) parts.push(`${grouped(failed)} failed`);
  if (endedAtMs !== null) parts.push(`ended ${fromNow(endedAtMs, nowMs)}`);
  else if (lastAckAtMs !== null) parts.push(`last ack ${fromNow(lastAckAtMs, nowMs)}`);
  else parts.push(`registered ${fromNow(registeredAtMs, nowMs)}, no ack yet`);
  if (endedAtMs === null && deadlineAtMs !== null) parts.push(`times out ${fromNow(deadlineAtMs, nowMs)}`);
  return parts.join(" · ");
}
