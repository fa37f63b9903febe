import { ACK_BUGS } from "./ack-bugs.js";

/** A plausible bug, as a change of one place in the sources. */
export interface Bug {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const cancellation = "src/core/group/cancellation.ts";
const group = "src/core/group/group.ts";
const growth = "src/core/group/growth.ts";
const policy = "src/core/group/policy.ts";
const record = "src/core/group/record.ts";
const repair = "src/core/group/repair.ts";
const attempts = "src/core/outbox/attempts.ts";

/** Each must be caught; `npm run mutants` plants them one at a time. */
export const BUGS: readonly Bug[] = [
  ...ACK_BUGS,
  {
    name: "a cancellation ends what has ended",
    file: cancellation,
    from: "if (isOpen(head) && !isOther(group, input.generation)) {",
    to: "if (!isOther(group, input.generation)) {",
  },
  {
    name: "a parent cancels a stranger's group",
    file: cancellation,
    from: "if (parent === undefined || parent.key !== key) return false;",
    to: "if (parent === undefined) return true;",
  },
  {
    name: "a parent cancels children of a later generation",
    file: cancellation,
    from: "return parent.generation === undefined || generation === undefined || parent.generation <= generation;",
    to: "return true;",
  },
  {
    name: "a child registered after the cascade is spared",
    file: cancellation,
    from: "  if (cancellation.untilMs <= group.store.nowMs || !isMeant(parent, cancellation)) return;",
    to: "  if (cancellation.untilMs > 0) return;",
  },
  {
    name: "a cancelled child fails its parent's task",
    file: group,
    from: "if (parent !== undefined && isParents !== true) {",
    to: "if (parent !== undefined) {",
  },
  {
    name: "a child does not settle its parent's task",
    file: group,
    from: "if (parent !== undefined && isParents !== true) {",
    to: "if (parent !== undefined && isParents === true) {",
  },
  {
    name: "children outlive their parent",
    file: group,
    from: "if (head.children !== undefined && sparesChildren !== true) {",
    to: "if (head.children !== undefined && sparesChildren === true) {",
  },
  {
    name: "a removed group is still shown",
    file: group,
    from: "return group === undefined || group.head.removedAtMs !== undefined ? undefined : group;",
    to: "return group;",
  },
  {
    name: "the clocks are left to the timer",
    file: group,
    from: "if (isOpen(head) && clock.atMs <= store.nowMs) {",
    to: "if ((false as boolean) && clock.atMs <= store.nowMs) {",
  },
  {
    name: "a complete request times out",
    file: group,
    from: "if (head.request === true && hasNoOpenTask(head)) {\n      head.completionReason",
    to: "if ((false as boolean) && hasNoOpenTask(head)) {\n      head.completionReason",
  },
  {
    name: "the deadline hides the idle end",
    file: group,
    from: "(idleAtMs === undefined || deadlineAtMs <= idleAtMs)",
    to: "deadlineAtMs > 0",
  },
  {
    name: "a waiter does not keep the group alive",
    file: group,
    from: "  head.followedAtMs = store.nowMs;\n",
    to: "",
  },
  {
    name: "a group has no TTL",
    file: group,
    from: "  store.keepUntil(Math.max(neededMs + ttlMs, head.neededMs ?? 0), slackMs);\n",
    to: "",
  },
  {
    name: "the end of a group queues no delivery",
    file: group,
    from: "if (target !== undefined) enqueue(",
    to: "if ((false as boolean) && target !== undefined) enqueue(",
  },
  {
    name: "a success with failures goes to the target of success",
    file: group,
    from: "(head.failed > 0 ? undefined : success)",
    to: "success",
  },
  {
    name: "a group completes with one task missing",
    file: policy,
    from: "isSealed(head) && left <= 0 ? COMPLETED",
    to: "isSealed(head) && left <= 1 ? COMPLETED",
  },
  {
    name: "a group never completes",
    file: policy,
    from: "isSealed(head) && left <= 0 ? COMPLETED",
    to: "isSealed(head) && left < 0 ? COMPLETED",
  },
  {
    name: "a group completes before its seal",
    file: policy,
    from: "isCallOver && isSealed(head) && left <= 0",
    to: "isCallOver && head.total > 0 && left <= 0",
  },
  {
    name: "one failure more is tolerated",
    file: policy,
    from: "failed > toleratedFailureCount",
    to: "failed > toleratedFailureCount + 1",
  },
  {
    name: "the percentage is decided before the total is final",
    file: policy,
    from: "toleratedFailurePpm !== undefined && isTotalFinal &&",
    to: "toleratedFailurePpm !== undefined &&",
  },
  {
    name: "a minimum that cannot be reached is waited for",
    file: policy,
    from: "if (minSuccessful !== undefined && isTotalFinal && succeeded + left < minSuccessful) return EXCEEDED;",
    to: "",
  },
  {
    name: "add after the seal adds",
    file: growth,
    from: '  if (isSealed(head)) return { outcome: "sealed", view: viewOf(store, head) };\n  const announced',
    to: "  const announced",
  },
  {
    name: "a copy of add is answered anew",
    file: growth,
    from: '  if (before !== undefined) return { outcome: "added", letters: before, view: viewOf(store, head) };\n',
    to: "",
  },
  {
    name: "a task that is added again is open again",
    file: growth,
    from: 'if (mark.state !== "absent" && mark.state !== "early") return DUPLICATE;',
    to: 'if (mark.state === "open") return DUPLICATE;',
  },
  {
    name: "an announced task forgets its early ack",
    file: growth,
    from: "if (early === undefined) return NEW;",
    to: "if (early !== undefined) return SETTLED;\n  return NEW;",
  },
  {
    name: "a request is complete before its first task",
    file: record,
    from: "leftOf(head) <= 0 && (head.total > 0 || isSealed(head))",
    to: "leftOf(head) <= 0",
  },
  {
    name: "retry opens tasks after the end",
    file: repair,
    from: '  if (!isOpen(head)) return { outcome: "late", view: viewOf(store, head) };\n',
    to: "",
  },
  {
    name: "a late copy of a failure counts against the next attempt",
    file: repair,
    from: "number: 0, op: mark.op }",
    to: 'number: 0, op: "" }',
  },
  {
    name: "the deadline can be moved to an earlier instant",
    file: repair,
    from: "head.deadlineAtMs < atMs",
    to: "head.deadlineAtMs !== atMs",
  },
  {
    name: "a claim takes no lease",
    file: attempts,
    from: "  due.leased = true;\n  due.passed = 0;",
    to: "  due.atMs = store.nowMs;",
  },
  {
    name: "an attempt settles without its fencing token",
    file: attempts,
    from: 'if (delivery.state !== "pending" || delivery.fence !== input.fence) return false;',
    to: 'if (delivery.state !== "pending") return false;',
  },
  {
    name: "a failed attempt is not tried again",
    file: attempts,
    from: "if (input.final === true || spent >= input.retry.maxAttempts) {",
    to: "if (input.final === true || spent >= 1) {",
  },
  {
    name: "a drain that lacks the handler gives the delivery up",
    file: attempts,
    from: "if (before !== undefined && nowMs - before.sinceMs >= UNHANDLED_MS) {",
    to: "if (nowMs >= delivery.queuedAtMs) {",
  },
  {
    name: "an expired record is still read",
    file: "src/core/transaction.ts",
    from: "const expired = stored !== undefined && stored.until !== undefined && stored.until <= nowMs;",
    to: "const expired = false as boolean;",
  },
];
