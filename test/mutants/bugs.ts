/** A plausible bug, as a change of one place in the sources. */
export interface Bug {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const completion = "src/core/group/completion.ts";
const group = "src/core/group/record.ts";
const registration = "src/core/group/registration.ts";
const early = "src/core/group/early-acks.ts";
const attempts = "src/core/outbox/attempts.ts";
const request = "src/core/request/request.ts";
const record = "src/core/request/record.ts";

/** Each must be caught; `npm run mutants` plants them one at a time. */
export const BUGS: readonly Bug[] = [
  {
    name: "a task that was acked counts again",
    file: completion,
    from: `if (mark !== "open") return mark === "mine" ? "accepted" : "duplicate";`,
    to: "",
  },
  {
    name: "the retry of the ack that counted is told that it is a duplicate",
    file: completion,
    from: `return mark === "mine" ? "accepted" : "duplicate";`,
    to: `return "duplicate";`,
  },
  { name: "a late ack counts", file: completion, from: `  if (head.state !== "open") return "late";\n`, to: "" },
  {
    name: "an ack after the cancellation counts",
    file: completion,
    from: `  if (head.state === "cancelled") return "cancelled";\n  if (head.state !== "open") return "late";\n`,
    to: `  if (head.state !== "open" && head.state !== "cancelled") return "late";\n`,
  },
  {
    name: "acks that came early are dropped",
    file: registration,
    from: "const early = before === undefined ? takeEarly(store) : [];",
    to: "const early = takeEarly(store).slice(0, 0);",
  },
  {
    name: "an early ack counts for ever",
    file: early,
    from: "if (early !== undefined && early.untilMs > store.nowMs) acks.push(early);",
    to: "if (early !== undefined) acks.push(early);",
  },
  {
    name: "registering again begins anew",
    file: registration,
    from: "if (made || (spec === input.spec && isSameRestart)) return",
    to: `if (!made && spec === input.spec) return { outcome: "created", view: begin(store, { head, ops }, input) };\n  if (made) return`,
  },
  {
    name: "a delayed copy of a restart restarts again",
    file: registration,
    from: "if (restart.from !== undefined && restart.from !== head.generation) {",
    to: "if (restart.from === 1) {",
  },
  {
    name: "another specification takes the group over",
    file: registration,
    from: `if (restart === undefined) return { outcome: "conflict", view: viewOf(store, head) };`,
    to: `if (restart === undefined) return { outcome: "created", view: begin(store, { head, ops }, input) };`,
  },
  {
    name: "a pending delivery is lost with a restart",
    file: registration,
    from: "head.outbox = before.head.outbox;",
    to: "head.outbox = { due: [], dead: [] };",
  },
  {
    name: "a generation may fall back",
    file: registration,
    from: "generation: nextNumber(store, before === undefined ? 0 : before.head.generation),",
    to: "generation: before === undefined ? store.nowMs : before.head.generation - 1,",
  },
  {
    name: "a cancellation ends what has ended",
    file: completion,
    from: `if (head.state === "open" && isMeant(head, input)) {`,
    to: "if (isMeant(head, input)) {",
  },
  {
    name: "the deadline is left to the timer",
    file: group,
    from: `if (head.state === "open" && endsAtMs(head) <= store.nowMs) {`,
    to: "if ((false as boolean) && endsAtMs(head) <= store.nowMs) {",
  },
  {
    name: "the timer is cleared while a deadline is set",
    file: group,
    from: "if (isTimed && (wakeAtMs === undefined || atMs < wakeAtMs)) wakeAtMs = atMs;",
    to: "",
  },
  {
    name: "a group has no TTL",
    file: group,
    from: "store.keepUntil(neededMs + head.ttlMs, isSilent ? Math.floor(head.ttlMs / 4) : 0);",
    to: "",
  },
  {
    name: "an open group does not outlive its deadline",
    file: group,
    from: "if (lastMs > neededMs) neededMs = lastMs;",
    to: "neededMs = store.nowMs - head.ttlMs + 20_000;",
  },
  {
    name: "the end of a group queues no delivery",
    file: group,
    from: "if (target !== undefined) {",
    to: "if ((false as boolean) && target !== undefined) {",
  },
  {
    name: "a group completes with one task missing",
    file: group,
    from: "if (remainingOf(head) <= 0) end(",
    to: "if (remainingOf(head) <= 1) end(",
  },
  {
    name: "a group never completes",
    file: group,
    from: "if (remainingOf(head) <= 0) end(",
    to: "if (remainingOf(head) < 0) end(",
  },
  {
    name: "a failed task counts in neither list",
    file: group,
    from: "    head.failed += 1;\n",
    to: "",
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
    name: "a request is complete before its first root",
    file: record,
    from: "head.open <= 0 && (head.roots > 0 || head.sealed)",
    to: "head.open <= 0",
  },
  {
    name: "a root that was marked counts again",
    file: request,
    from: `return mark === "" ? undefined : "duplicate";`,
    to: "return undefined;",
  },
  {
    name: "a mark that came early is forgotten",
    file: record,
    from: `} else if (mark.startsWith("~")) {`,
    to: `} else if (mark === "~") {`,
  },
  {
    name: "work is handed on after its root was closed",
    file: request,
    from: "const added = addRoots(store, head, input.next ?? []);",
    to: "const added = addRoots(store, head, []);",
  },
  {
    name: "a failed root closes without its error",
    file: request,
    from: "if (!countIn(store, head, number, { processed: input.processed, error: input.error })) ",
    to: "if (!countIn(store, head, number, { processed: input.processed })) ",
  },
  {
    name: "a mark after the cleanup brings the request back",
    file: record,
    from: "return head === undefined || head.cleaned === true ? undefined : head;",
    to: "return head;",
  },
  {
    name: "registering a request again resets it",
    file: request,
    from: "if (before === undefined) return began(store, input);",
    to: "if (before === undefined || before.cleaned !== true) return began(store, input);",
  },
  { name: "a request has no TTL", file: record, from: "store.keepUntil(fromMs + head.ttlMs);", to: "" },
  {
    name: "an expired record is still read",
    file: "src/core/transaction.ts",
    from: "const expired = stored !== undefined && stored.until !== undefined && stored.until <= nowMs;",
    to: "const expired = false as boolean;",
  },
];
