/** A plausible bug, as a change of one place in the sources. */
export interface Bug {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The bugs of groups, requests and the outbox, by file. */
const BY_FILE: Readonly<Record<string, readonly Omit<Bug, "file">[]>> = {
  "src/core/group/acks.ts": [
    {
      name: "a task that was acked counts again",
      from: '  if (mark.state === "succeeded" || mark.state === "failed") {',
      to: '  if ((false as boolean) && mark.state !== "open") {',
    },
    {
      name: "the retry of the ack that counted is answered as a duplicate",
      from: '  if (mark.op === op) return mark.isEarly === true ? "early" : "accepted";\n',
      to: "",
    },
    { name: "a late ack counts", from: '  if (!isOpen(head) || !mayCount(head)) return "late";\n', to: "" },
    {
      name: "an ack after the cancellation is late, not cancelled",
      from: '  if (head.state === "cancelled") return "cancelled";\n',
      to: "",
    },
    {
      name: "a closed group takes unlisted tasks",
      from: '  if (mark.state !== "open" && head.grows !== true) return "unknown";\n',
      to: "",
    },
    {
      name: "a failure that names an earlier generation counts",
      from: "  return isEarlier && task.error === undefined;",
      to: "  return isEarlier;",
    },
    {
      name: "next is announced again by a duplicate",
      from: '  if (call.lastCounted === "" && !call.hasEarly) return undefined;\n',
      to: '  if (next !== undefined && call.lastCounted === "") announce(group, next);\n',
    },
    {
      name: "next is not announced",
      from: "    if (next !== undefined && isOpen(head)) {",
      to: "    if ((false as boolean) && next !== undefined) {",
    },
    {
      name: "an early ack forgets what follows it",
      from: '    if (call.lastCounted === "") store.set(numbered("n", head.nexts), encode(next));',
      to: "",
    },
    {
      name: "an ack does not put off the idle end",
      from: "    applyPolicy(group, true, call.lastCounted);\n  }\n  touch(group);",
      to: "    applyPolicy(group, true, call.lastCounted);\n  }",
    },
  ],
  "src/core/group/registration.ts": [
    {
      name: "a registration is not reported",
      from: '  store.tell({ type: "registered", generation: head.generation, total: head.total });\n',
      to: "",
    },
    {
      name: "a repeated registration is reported",
      from: "      join(group, input.op);\n",
      to: '      join(group, input.op);\n      store.tell({ type: "registered", generation: head.generation, total: head.total });\n',
    },
    {
      name: "a restart forgets the calls of the generation before",
      from: '  if (head.kind !== "named" || head.operations === undefined) return calls;',
      to: '  if (head.kind === "named" || head.operations === undefined) return calls;',
    },
    {
      name: "acks that came early are dropped",
      from: "const early = before === undefined ? readEarly(store) : [];",
      to: "const early = readEarly(store).slice(0, 0);",
    },
    {
      name: "registering again begins anew",
      from: "(fingerprint === input.fingerprint && isSameRestart)",
      to: "(fingerprint === input.fingerprint && isSameRestart && restart !== undefined)",
    },
    {
      name: "a delayed copy of a restart restarts again",
      from: "if (restart.from !== undefined && restart.from !== head.generation) return",
      to: "if (restart.from === 1) return",
    },
    {
      name: "a pending delivery is lost with a restart",
      from: "if (before?.outbox !== undefined) head.outbox = before.outbox;",
      to: "",
    },
    {
      name: "a generation may fall back",
      from: "generation: nextNumber(store, before === undefined ? 0 : before.generation),",
      to: "generation: before === undefined ? store.nowMs : before.generation - 1,",
    },
    { name: "a restart in place forgets the successes", from: "  next.succeeded = head.succeeded;\n", to: "" },
    {
      name: "the marks of a removed group count in the next",
      from: "  head.since = head.epoch;\n  if (before.operations",
      to: "  if (before.operations",
    },
  ],
  "src/core/group/early-acks.ts": [
    {
      name: "an early ack counts for ever",
      from: "if (ack !== undefined && !isExpired(ack, store.nowMs)) acks.push(ack);",
      to: "if (ack !== undefined) acks.push(ack);",
    },
    {
      name: "early acks count in another order",
      from: "acks.sort((a, b) => (a.n ?? 0) - (b.n ?? 0))",
      to: "acks.sort((a, b) => (b.n ?? 0) - (a.n ?? 0))",
    },
    {
      name: "another early ack takes the place of the first",
      from: "  if (before !== undefined && !isExpired(before, store.nowMs)) {",
      to: "  if (before !== undefined && before.op === ack.op) {",
    },
  ],
  "src/core/group/task-set.ts": [
    {
      name: "early failures survive a restart in place",
      from: 'mark.state = head === undefined || epoch === head.epoch ? "early" : "absent";',
      to: 'mark.state = "early";',
    },
    {
      name: "failures stay failed after a restart in place",
      from: "letter === LETTERS.failed && (head === undefined || epoch === head.epoch)",
      to: "letter === LETTERS.failed",
    },
  ],
  "src/core/group/counting.ts": [
    {
      name: "a failed task counts in neither list",
      from: "if (isFailure) head.failed += 1;\n  else",
      to: "if (!isFailure)",
    },
  ],
  "src/core/group/stages.ts": [
    {
      name: "the counts of a stage are lost",
      from: "for (const stage of stages.touched) store.set(stageName(stage), encode(stages.counts[stageName(stage)]!));",
      to: "",
    },
  ],
  "src/core/group/cancellation.ts": [
    {
      name: "a cancellation ends what has ended",
      from: "if (isOpen(head) && !isOther(group, input.generation)) {",
      to: "if (!isOther(group, input.generation)) {",
    },
    {
      name: "a parent cancels a stranger's group",
      from: "if (parent === undefined || parent.key !== key) return false;",
      to: "if (parent === undefined) return true;",
    },
    {
      name: "a parent cancels children of a later generation",
      from: "return parent.generation === undefined || generation === undefined || parent.generation <= generation;",
      to: "return true;",
    },
    {
      name: "a child registered after the cascade is spared",
      from: "if (isOpen(group.head) && isMeant(parent, cancellation)) endByParent(",
      to: "if (cancellation.untilMs < 0) endByParent(",
    },
  ],
  "src/core/group/delivering.ts": [
    {
      name: "a restart forgets the children of a pending cascade",
      from: "    if (children === undefined) continue;\n",
      to: "    if (children === undefined || children.chain > 0) continue;\n",
    },
  ],
  "src/core/group/group.ts": [
    { name: "an end is not reported", from: "    store.tell(endOf(head));\n", to: "" },
    {
      name: "a cancelled child fails its parent's task",
      from: "if (parent !== undefined && isParents !== true) {",
      to: "if (parent !== undefined) {",
    },
    {
      name: "a child does not settle its parent's task",
      from: "if (parent !== undefined && isParents !== true) {",
      to: "if (parent !== undefined && isParents === true) {",
    },
    {
      name: "children outlive their parent",
      from: "if (head.children !== undefined && sparesChildren !== true) {",
      to: "if (head.children !== undefined && sparesChildren === true) {",
    },
    {
      name: "a removed group is still shown",
      from: "return group === undefined || group.head.removedAtMs !== undefined ? undefined : group;",
      to: "return group;",
    },
    {
      name: "the clocks are left to the timer",
      from: "if (isOpen(head) && clock.atMs <= store.nowMs) {",
      to: "if ((false as boolean) && clock.atMs <= store.nowMs) {",
    },
    {
      name: "a complete request times out",
      from: "if (head.request === true && hasNoOpenTask(head)) {\n      head.completionReason",
      to: "if ((false as boolean) && hasNoOpenTask(head)) {\n      head.completionReason",
    },
    {
      name: "the deadline hides the idle end",
      from: "(idleAtMs === undefined || deadlineAtMs <= idleAtMs)",
      to: "deadlineAtMs > 0",
    },
    { name: "a waiter does not keep the group alive", from: "  head.followedAtMs = store.nowMs;\n", to: "" },
    {
      name: "a group has no TTL",
      from: "  store.keepUntil(Math.max(neededMs + ttlMs, head.neededMs ?? 0), slackMs);\n",
      to: "",
    },
    {
      name: "the end of a group queues no delivery",
      from: "if (target !== undefined) enqueue(",
      to: "if ((false as boolean) && target !== undefined) enqueue(",
    },
    {
      name: "a success with failures goes to the target of success",
      from: "(head.failed > 0 ? undefined : success)",
      to: "success",
    },
  ],
  "src/core/group/policy.ts": [
    {
      name: "a group completes with one task missing",
      from: "isSealed(head) && left <= 0 ? COMPLETED",
      to: "isSealed(head) && left <= 1 ? COMPLETED",
    },
    {
      name: "a group never completes",
      from: "isSealed(head) && left <= 0 ? COMPLETED",
      to: "isSealed(head) && left < 0 ? COMPLETED",
    },
    {
      name: "a group completes before its seal",
      from: "isCallOver && isSealed(head) && left <= 0",
      to: "isCallOver && head.total > 0 && left <= 0",
    },
    {
      name: "one failure more is tolerated",
      from: "failed > toleratedFailureCount",
      to: "failed > toleratedFailureCount + 1",
    },
    {
      name: "the percentage is decided before the total is final",
      from: "toleratedFailurePpm !== undefined && isTotalFinal &&",
      to: "toleratedFailurePpm !== undefined &&",
    },
    {
      name: "a minimum that cannot be reached is waited for",
      from: "if (minSuccessful !== undefined && isTotalFinal && succeeded + left < minSuccessful) return EXCEEDED;",
      to: "",
    },
  ],
  "src/core/group/growth.ts": [
    {
      name: "add after the seal adds",
      from: '  if (isSealed(head)) return { outcome: "sealed", view: viewOf(store, head) };\n  const announced',
      to: "  const announced",
    },
    {
      name: "a copy of add is answered anew",
      from: '  if (before !== undefined) return { outcome: "added", letters: before, view: viewOf(store, head) };\n',
      to: "",
    },
    {
      name: "a task that is added again is open again",
      from: 'if (mark.state !== "absent" && mark.state !== "early") return DUPLICATE;',
      to: 'if (mark.state === "open") return DUPLICATE;',
    },
    {
      name: "an announced task forgets its early ack",
      from: "if (early === undefined) return NEW;",
      to: "if (early !== undefined) return SETTLED;\n  return NEW;",
    },
  ],
  "src/core/group/record.ts": [
    {
      name: "a request is complete before its first task",
      from: "leftOf(head) <= 0 && (head.total > 0 || isSealed(head))",
      to: "leftOf(head) <= 0",
    },
  ],
  "src/core/group/view.ts": [
    { name: "a status names no parent", from: "  if (parent !== undefined) view.parent = parent.body;\n", to: "" },
  ],
  "src/core/group/repair.ts": [
    {
      name: "retry opens tasks after the end",
      from: '  if (!isOpen(head)) return { outcome: "late", view: viewOf(store, head) };\n',
      to: "",
    },
    {
      name: "a late copy of a failure counts against the next attempt",
      from: "openMarkText(head.epoch, mark.op)",
      to: 'openMarkText(head.epoch, "")',
    },
    {
      name: "the deadline can be moved to an earlier instant",
      from: "head.deadlineAtMs < atMs",
      to: "head.deadlineAtMs !== atMs",
    },
  ],
  "src/core/outbox/attempts.ts": [
    {
      name: "a claim takes no lease",
      from: "  due.leased = true;\n  due.passed = 0;",
      to: "  due.atMs = store.nowMs;",
    },
    {
      name: "an attempt settles without its fencing token",
      from: 'if (delivery.state !== "pending" || delivery.fence !== input.fence) return false;',
      to: 'if (delivery.state !== "pending") return false;',
    },
    {
      name: "a failed attempt is not tried again",
      from: "if (input.final === true || spent >= input.retry.maxAttempts) {",
      to: "if (input.final === true || spent >= 1) {",
    },
    {
      name: "a drain that lacks the handler gives the delivery up",
      from: "if (before !== undefined && nowMs - before.sinceMs >= UNHANDLED_MS) {",
      to: "if (nowMs >= delivery.queuedAtMs) {",
    },
  ],
  "src/core/transaction.ts": [
    {
      name: "an expired record is still read",
      from: "const expired = stored !== undefined && stored.until !== undefined && stored.until <= nowMs;",
      to: "const expired = false as boolean;",
    },
  ],
};

/** Each must be caught; `npm run mutants` plants them one at a time. */
export const BUGS: readonly Bug[] = Object.entries(BY_FILE).flatMap(([file, bugs]) =>
  bugs.map((bug) => ({ ...bug, file })),
);
