import type { Bug } from "./bugs.js";

const semaphore = "src/core/semaphore.ts";
const dedupe = "src/core/dedupe.ts";
const limiter = "src/core/limiter.ts";

/** Bugs of permits, runs and limits. The simulations of `test/simulation/turns` must catch each. */
export const TURN_BUGS: readonly Bug[] = [
  {
    name: "an offer does not count as a permit",
    file: semaphore,
    from: "for (const { offeredAtMs } of head.line) if (offeredAtMs !== undefined) taken += 1;",
    to: "",
  },
  {
    name: "a new caller takes a permit that is offered to another",
    file: semaphore,
    from: "if (isFirst && head.held.length + head.line.length < input.permits)",
    to: "if (head.held.length < input.permits)",
  },
  {
    name: "a token falls with the clock",
    file: semaphore,
    from: "Math.max(head.token + 1, store.nowMs)",
    to: "store.nowMs",
  },
  {
    name: "a late copy of an acquire takes a permit",
    file: semaphore,
    from: `if (head.over.some(({ op }) => op === input.op)) return { outcome: "over" };`,
    to: "",
  },
  {
    name: "a release is forgotten a minute after the lease's end",
    file: semaphore,
    from: "head.over = head.over.filter(({ op }) => op !== input.op);\n  end(store, head, input.op);",
    to: "if (!head.over.some(({ op }) => op === input.op)) end(store, head, input.op);",
  },
  {
    name: "a resent acquire takes another permit",
    file: semaphore,
    from: "const held = head.held.find(({ op }) => op === input.op);\n  if (held !== undefined) return { outcome",
    to: "const held = head.held.find(({ op }) => op === input.op);\n  if (held !== undefined && head.line.length > 99) return { outcome",
  },
  {
    name: "a resent acquire gets a whole lease",
    file: semaphore,
    from: "leftMs: held.untilMs - store.nowMs };",
    to: "leftMs: input.leaseMs };",
  },
  { name: "an offer never lapses", file: semaphore, from: "offeredAtMs + OFFER_MS > nowMs,", to: "offeredAtMs > 0," },
  {
    name: "a lease that ended may be extended",
    file: semaphore,
    from: "if (one.untilMs > nowMs) held.push(one);",
    to: "if (one.untilMs + 5_000 > nowMs) held.push(one);",
  },
  {
    name: "a copy of a release says that no permit was released",
    file: semaphore,
    from: "  if (released) head.over[head.over.length - 1]!.released = true;",
    to: "",
  },
  {
    name: "a caller that leaves the line loses a permit that it has got meanwhile",
    file: semaphore,
    from: "if (!head.line.some(({ op }) => op === input.op)) return { left: false };",
    to: "head.held = head.held.filter(({ op }) => op !== input.op);",
  },
  {
    name: "a caller that leaves the line may not come back",
    file: semaphore,
    from: "  if (!head.line.some(({ op }) => op === input.op)) return { left: false };\n  prune(store, head);",
    to: "  if (!head.line.some(({ op }) => op === input.op)) return { left: false };\n  prune(store, head);\n  end(store, head, input.op);",
  },
  {
    name: "a run whose lease another call has taken finishes",
    file: dedupe,
    from: "if (head === undefined || run === undefined || run.op !== input.op) return { held: false };",
    to: "if (head === undefined || run === undefined) return { held: false };",
  },
  {
    name: "a run whose lease another call has taken renews it",
    file: dedupe,
    from: "return run !== undefined && run.op === op && !run.done;",
    to: "return run !== undefined && !run.done;",
  },
  {
    name: "a late copy of a begin begins anew",
    file: dedupe,
    from: `if (recallOp(store, input.op) !== undefined) return { outcome: "over" };`,
    to: "",
  },
  {
    name: "a late copy of a begin begins anew after its window",
    file: dedupe,
    from: `if (head.holder === input.op) return { outcome: "over" };`,
    to: "",
  },
  {
    name: "the value of an earlier run is replayed",
    file: dedupe,
    from: "if (head.run?.done) store.remove(VALUE);",
    to: "",
  },
  {
    name: "a run that is done may be taken when its lease is over",
    file: dedupe,
    from: "run === undefined || run.done ? head.untilMs : run.leaseEndsMs",
    to: "run === undefined ? head.untilMs : run.leaseEndsMs",
  },
  {
    name: "a run's token is the time",
    file: dedupe,
    from: "head.token = Math.max((head.token ?? 0) + 1, store.nowMs);",
    to: "head.token = store.nowMs;",
  },
  {
    name: "the limiter forgets fractions",
    file: limiter,
    from: "rest: after % limit,",
    to: "rest: 0,",
  },
  {
    name: "a limiter's record ends before its debt",
    file: limiter,
    from: "store.keepUntil(atMs + 1, ",
    to: "store.keepUntil(store.nowMs + 1, ",
  },
  { name: "a denial counts", file: limiter, from: "if (allowed && cost > 0) {", to: "if (cost > 0) {" },
  { name: "the limiter admits one more", file: limiter, from: "after <= most;", to: "after < most + windowMs;" },
  {
    name: "the debt is not cut when the clock goes back",
    file: limiter,
    from: "return debt < most ? debt : most;",
    to: "return debt;",
  },
];
