import type { ListedGroup, ListedRequest } from "../../src/index.js";
import { colourOf, type Paint } from "../text/paint.js";
import { printable } from "../text/printable.js";
import { table } from "../text/table.js";
import { fromNow, grouped } from "../text/time.js";

/** Returns a page of a list as a table; nothing for an empty page. */
export function listText(items: readonly (ListedGroup | ListedRequest)[], paint: Paint, nowMs: number): string {
  if (items.length === 0) return "";
  const head = ["id", "state", "done", "failed", "since", "last ack", "callback"];
  return table([head.map((name) => paint("dim", name)), ...items.map((item) => rowOf(item, paint, nowMs))]);
}

function rowOf(item: ListedGroup | ListedRequest, paint: Paint, nowMs: number): string[] {
  const { state, total, succeeded, failed, registeredAtMs, endedAtMs, lastAckAtMs, delivery } = item;
  return [
    printable("groupId" in item ? item.groupId : item.requestId),
    paint(colourOf(state), state),
    `${grouped(succeeded + failed)}/${grouped(total)}`,
    grouped(failed),
    fromNow(endedAtMs ?? registeredAtMs, nowMs),
    lastAckAtMs === null ? "-" : fromNow(lastAckAtMs, nowMs),
    delivery === null ? "-" : paint(colourOf(delivery), delivery),
  ];
}
