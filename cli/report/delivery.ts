import type { BackendName } from "../settings.js";
import type { Snapshot } from "../snapshot.js";
import { printable, quoted } from "../text/printable.js";
import { count, inWords, when } from "../text/time.js";
import type { Finding, Remedy, WhyInput } from "./explanation.js";
import { subjectOf } from "./subject.js";

/** How late a delivery may be before `why` says that no process drains. */
const LATE_MS = 60_000;
/** The core's own texts for a delivery without a process that can make it. */
const NO_HANDLER = /^no running instance has handler:(.*)$/s;
const NO_WEBHOOKS = "no running instance sends webhooks";

/** Returns the first line about a group that has ended; `isOver`: nothing is left to do. */
export function deliveryHeadline(snapshot: Snapshot): { readonly headline: string; readonly isOver: boolean } {
  const { kind, id, state, status } = snapshot;
  const ended = `${kind} ${printable(id)} ${verbOf(state)}`;
  const what = isToParent(status.delivery.deliveryId) ? "delivery to its parent's task" : "callback";
  switch (status.delivery.state) {
    case "none":
      return { headline: `${ended}. It has no callback for this end, so nothing is left to wait for.`, isOver: true };
    case "delivered":
      return { headline: `${ended}, and its ${what} was made. Nothing is left to wait for.`, isOver: true };
    case "dead":
      return { headline: `${ended}, but its ${what} is a dead letter: it is not tried again.`, isOver: false };
    default:
      return { headline: `${ended}. Its ${what} is not made yet.`, isOver: false };
  }
}

/** Returns whether a delivery id is that of a parent's task. */
function isToParent(deliveryId: string | null): boolean {
  return deliveryId?.endsWith("-parent") === true;
}

function verbOf(state: string): string {
  const verbs: Readonly<Record<string, string>> = {
    completed: "has completed",
    complete: "has completed",
    failed: "has failed",
    timed_out: "has timed out",
    cancelled: "was cancelled",
  };
  return verbs[state] ?? `is ${printable(state)}`;
}

/** Explains the callback of a group that has ended. */
export function deliveryFindings({ snapshot, backend, nowMs }: WhyInput): {
  readonly findings: readonly Finding[];
  readonly remedies: readonly Remedy[];
} {
  const { state, attempts, lastError, nextAttemptAtMs, deliveryId } = snapshot.status.delivery;
  if (state === "none") return { findings: [], remedies: [] };
  const texts = [
    `The delivery ${printable(deliveryId ?? "")}: ${attempts === 0 ? "no attempt" : count(attempts, "attempt")} so far.`,
  ];
  if (lastError !== null) texts.push(...errorTexts(lastError, backend));
  if (state === "dead") texts.push("A dead letter is kept for seven days. `redeliver` queues it again.");
  const isLate = nextAttemptAtMs !== null && nowMs - nextAttemptAtMs > LATE_MS;
  if (nextAttemptAtMs !== null && !isLate) {
    texts.push(`The next attempt is due ${when(nextAttemptAtMs, nowMs)}. If one is under way, its lease ends then.`);
  } else if (nextAttemptAtMs !== null) {
    texts.push(lateText(nowMs - nextAttemptAtMs, backend));
  }
  return {
    findings: texts.map((text) => ({ topic: "callback", text })),
    remedies: remediesOf(snapshot, { isLate, backend, lastError }),
  };
}

function errorTexts(lastError: string, backend: BackendName): string[] {
  const handler = NO_HANDLER.exec(lastError)?.[1];
  if (handler !== undefined) {
    const place = backend === "http" ? "The Worker's object has no" : "No process that drains has a";
    return [`${place} handler named ${quoted(handler)}. After a day without it, the delivery becomes a dead letter.`];
  }
  if (lastError === NO_WEBHOOKS) {
    const fix =
      backend === "http"
        ? "Set WEBHOOK_SECRET and WEBHOOK_ALLOWED_HOSTS on the Worker."
        : "Give a process that drains a tracker with the option webhooks.";
    return [`No running instance sends webhooks. ${fix}`];
  }
  return [`The last error: ${quoted(lastError, 300)}`];
}

function lateText(lateMs: number, backend: BackendName): string {
  const since = `The next attempt has been due for ${inWords(lateMs)}.`;
  return backend === "http"
    ? `${since} The object's alarm is late, or an attempt is under way.`
    : `${since} No drain runs: start drainEvery, AlarmClock or a cron route.`;
}

function remediesOf(
  snapshot: Snapshot,
  {
    isLate,
    backend,
    lastError,
  }: { readonly isLate: boolean; readonly backend: BackendName; readonly lastError: string | null },
): Remedy[] {
  if (snapshot.status.delivery.state === "delivered") return [];
  const subject = subjectOf(snapshot);
  const handler = NO_HANDLER.exec(lastError ?? "")?.[1];
  const first =
    handler === undefined
      ? "once the cause is mended: queue the callback now, with a full set of attempts"
      : `once a version with the handler ${quoted(handler)} is deployed: queue the callback now`;
  const remedies: Remedy[] = [{ command: `redeliver ${subject}`, effect: first }];
  if (isLate && backend === "upstash") {
    const effect = "first start a drain: this command only queues, it does not deliver";
    return [{ command: `redeliver ${subject}`, effect }];
  }
  return remedies;
}
