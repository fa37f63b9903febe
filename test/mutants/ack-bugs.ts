import type { Bug } from "./bugs.js";

const acks = "src/core/group/acks.ts";
const counting = "src/core/group/counting.ts";
const early = "src/core/group/early-acks.ts";
const registration = "src/core/group/registration.ts";
const stages = "src/core/group/stages.ts";
const marks = "src/core/group/task-set.ts";

/** Bugs in the registration, in acks, and in the marks of tasks. */
export const ACK_BUGS: readonly Bug[] = [
  {
    name: "a task that was acked counts again",
    file: acks,
    from: '  if (mark.state === "succeeded" || mark.state === "failed") {',
    to: '  if ((false as boolean) && mark.state !== "open") {',
  },
  {
    name: "the retry of the ack that counted is answered as a duplicate",
    file: acks,
    from: '  if (mark.op === op) return mark.isEarly === true ? "early" : "accepted";\n',
    to: "",
  },
  {
    name: "a late ack counts",
    file: acks,
    from: '  if (!isOpen(head) || !mayCount(head)) return "late";\n',
    to: "",
  },
  {
    name: "an ack after the cancellation is late, not cancelled",
    file: acks,
    from: '  if (head.state === "cancelled") return "cancelled";\n',
    to: "",
  },
  {
    name: "a closed group takes unlisted tasks",
    file: acks,
    from: '  if (mark.state !== "open" && head.grows !== true) return "unknown";\n',
    to: "",
  },
  {
    name: "a failure that names an earlier generation counts",
    file: acks,
    from: "  return isEarlier && task.error === undefined;",
    to: "  return isEarlier;",
  },
  {
    name: "next is announced again by a duplicate",
    file: acks,
    from: '  if (call.lastCounted === "" && !call.hasEarly) return undefined;\n',
    to: '  if (next !== undefined && call.lastCounted === "") announce(group, next);\n',
  },
  {
    name: "next is not announced",
    file: acks,
    from: "    if (next !== undefined && isOpen(head)) {",
    to: "    if ((false as boolean) && next !== undefined) {",
  },
  {
    name: "an early ack forgets what follows it",
    file: acks,
    from: '    if (call.lastCounted === "") store.set(numbered("n", head.nexts), encode(next));',
    to: "",
  },
  {
    name: "an ack does not put off the idle end",
    file: acks,
    from: "    applyPolicy(group, true, call.lastCounted);\n  }\n  touch(group);",
    to: "    applyPolicy(group, true, call.lastCounted);\n  }",
  },
  {
    name: "acks that came early are dropped",
    file: registration,
    from: "const early = before === undefined ? readEarly(store) : [];",
    to: "const early = readEarly(store).slice(0, 0);",
  },
  {
    name: "an early ack counts for ever",
    file: early,
    from: "if (ack !== undefined && !isExpired(ack, store.nowMs)) acks.push(ack);",
    to: "if (ack !== undefined) acks.push(ack);",
  },
  {
    name: "early acks count in another order",
    file: early,
    from: "acks.sort((a, b) => (a.n ?? 0) - (b.n ?? 0))",
    to: "acks.sort((a, b) => (b.n ?? 0) - (a.n ?? 0))",
  },
  {
    name: "another early ack takes the place of the first",
    file: early,
    from: "  if (before !== undefined && !isExpired(before, store.nowMs)) {",
    to: "  if (before !== undefined && before.op === ack.op) {",
  },
  {
    name: "early failures survive a restart in place",
    file: registration,
    from: "    dropEarlyFailures(next.early);\n",
    to: "",
  },
  {
    name: "registering again begins anew",
    file: registration,
    from: "(fingerprint === input.fingerprint && isSameRestart)",
    to: "(fingerprint === input.fingerprint && isSameRestart && restart !== undefined)",
  },
  {
    name: "a delayed copy of a restart restarts again",
    file: registration,
    from: "if (restart.from !== undefined && restart.from !== head.generation) return",
    to: "if (restart.from === 1) return",
  },
  {
    name: "a pending delivery is lost with a restart",
    file: registration,
    from: "if (before?.outbox !== undefined) head.outbox = before.outbox;",
    to: "",
  },
  {
    name: "a generation may fall back",
    file: registration,
    from: "generation: nextNumber(store, before === undefined ? 0 : before.generation),",
    to: "generation: before === undefined ? store.nowMs : before.generation - 1,",
  },
  {
    name: "a restart in place forgets the successes",
    file: registration,
    from: "  next.succeeded = head.succeeded;\n",
    to: "",
  },
  {
    name: "failures stay failed after a restart in place",
    file: marks,
    from: "letter === LETTERS.failed && (head === undefined || epoch === head.epoch)",
    to: "letter === LETTERS.failed",
  },
  {
    name: "the marks of a removed group count in the next",
    file: registration,
    from: "  head.since = head.epoch;\n  if (before.operations",
    to: "  if (before.operations",
  },
  {
    name: "a failed task counts in neither list",
    file: counting,
    from: "if (isFailure) head.failed += 1;\n  else",
    to: "if (!isFailure)",
  },
  {
    name: "the counts of a stage are lost",
    file: stages,
    from: "for (const stage of stages.touched) store.set(stageName(stage), encode(stages.counts[stageName(stage)]!));",
    to: "",
  },
];
