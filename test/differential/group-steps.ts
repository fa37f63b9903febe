import type { Claim } from "../../src/core/outbox/attempts.js";

/** Inputs of one machine's steps, by the step's name. */
export type Inputs = Record<string, () => Record<string, unknown>>;

/** What inputs are made from: chance, and what the run has met so far. */
export interface Maker {
  readonly random: () => number;
  readonly below: (n: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
  readonly maybe: <T>(chance: number, value: () => T) => T | undefined;
  readonly some: <T>(list: readonly T[], most: number) => T[];
  readonly op: () => string;
  readonly nowMs: () => number;
  readonly seen: Seen;
}

interface Ref {
  stage?: string | undefined;
  id: string;
}

/** What a run has named so far. */
export interface Seen {
  readonly claims: { readonly id: string; readonly claim: Claim }[];
  readonly generations: number[];
  /** Versions of progress. */
  readonly versions: string[];
  /** The tasks that were announced. */
  readonly refs: Ref[];
  /** The operations that registered: the callers of requests. */
  readonly callers: string[];
}

export const TASKS = ["a", "b", "c", "__proto__", "é🙂", "d\u0000", "constructor", "1:a", "x/y"];
/** Numbers at the edges of what is stored together, and texts that nearly are numbers. */
const INDEXES = ["0", "1", "2", "3", "255", "256", "299", "300", "01", "1e2", "0x1", "-0", "-1", " 1", "1.5", "nan"];
const STAGES = ["parse", "é", "__proto__", "a:b"];
const ROUTES = ["handler:x", "handler:y", "url", "task", "cascade"];
const HANDLER = { route: "handler:x", body: '{"n":[]}' };
const OTHER = { route: "handler:y", body: "null" };
const URL_TARGET = { route: "url", body: "https://a.example/" };
const RESULTS = ["null", "[]", '{"a":{}}', '"é🙂"', `"${"long".repeat(20)}"`];
const ERRORS = ["", "broken", "x".repeat(40), "é\u0000", "🙂".repeat(30)];
const TRACES = [`00-${"a".repeat(32)}-${"b".repeat(16)}-01`, `00-${"c".repeat(32)}-${"d".repeat(16)}-00`];
const PARENTS = ["completion:p:t", "completion:p:é"];
const POLICIES = [
  { minSuccessful: 2 },
  { minSuccessful: 4 },
  { toleratedFailureCount: 0, minSuccessful: 3 },
  { toleratedFailureCount: 1, minSuccessful: 2 },
  { toleratedFailurePpm: 250_000 },
  { toleratedFailurePpm: 333_333, toleratedFailureCount: 2 },
];
const TARGETS = [
  undefined,
  { complete: HANDLER, end: URL_TARGET },
  { end: OTHER },
  { success: HANDLER, failure: OTHER },
  { timeout: URL_TARGET, complete: HANDLER },
];

/** Inputs for every step of groups and requests. Few names, so that they meet. */
export function groupInputs(maker: Maker): Inputs {
  return { ...writes(maker), ...reads(maker), ...deliveries(maker) };
}

/** Registrations with these fingerprints conflict with each other. Everything else may differ, as after an upgrade. */
const FINGERPRINTS = ["s0", "s1", "s2", "s3"];

function announcement({ pick, some, maybe, seen }: Maker): Record<string, unknown> {
  const list = (): string => {
    const stage = pick(["", "", ...STAGES]);
    const ids = some(TASKS, 4);
    for (const id of ids) seen.refs.push(stage === "" ? { id } : { stage, id });
    return JSON.stringify([stage, ...ids]);
  };
  const child = (): object => ({
    ...(maybe(0.8, () => pick(seen.refs.slice(-3))) ?? { stage: maybe(0.3, () => pick(STAGES)), id: pick(TASKS) }),
    machine: pick(["completion", "request"]),
    groupId: pick(["g1", "é", "child/3"]),
  });
  const lists = some([list], 3).map((make) => make());
  return { lists, children: maybe(0.4, () => some([child], 3).map((make) => make())) };
}

function kindOf(maker: Maker): Record<string, unknown> {
  const { pick, below, maybe, some, seen } = maker;
  const kind = pick(["named", "named", "named", "counted", "indexed"]);
  if (kind === "named") return { kind, total: 0, grows: maybe(0.75, () => true), ...announcement(maker) };
  if (kind === "indexed") seen.refs.push(...some(INDEXES, 8).map((id) => ({ id })));
  return { kind, total: kind === "counted" ? 1 + below(9) : pick([3, 300]), lists: [] };
}

function refOf({ pick, maybe, random, seen }: Maker): Ref {
  if (random() < 0.8 && seen.refs.length > 0) return pick(seen.refs.slice(-12));
  return { stage: maybe(0.2, () => pick(STAGES)), id: random() < 0.7 ? pick(TASKS) : pick(INDEXES) };
}

function writes(maker: Maker): Inputs {
  const { random, below, pick, maybe, some, op, seen } = maker;
  const generation = (chance: number) => maybe(chance, () => pick(seen.generations.slice(-3)));
  const ackOf = (): object => ({
    ...refOf(maker),
    result: maybe(0.3, () => pick(RESULTS)),
    processed: maybe(0.3, () => pick([0, 1, 7, 1e12])),
    ...(random() < 0.35 ? { error: pick(ERRORS), brief: maybe(0.3, () => "x…") } : {}),
  });
  return {
    register: () => {
      const made = op();
      seen.callers.push(made);
      return {
        op: made,
        fingerprint: pick(FINGERPRINTS),
        ...kindOf(maker),
        request: maybe(0.15, () => true),
        timeoutMs: pick([0, 0, 0, 10_000, 600_000, 3_600_000]),
        idleMs: maybe(0.3, () => pick([5_000, 100_000, 600_000])),
        ttlMs: maybe(0.1, () => pick([1, 5_000])) ?? pick([100_000, 600_000, 3_600_000]),
        deliveryId: `msg_${made}`,
        policy: maybe(0.25, () => pick(POLICIES)),
        targets: pick(TARGETS),
        parent: maybe(0.3, () => ({ key: pick(PARENTS), body: '{"groupId":"p"}', generation: generation(0.5) })),
        metadata: maybe(0.3, () => pick(['{"m":[]}', "null", '"é\\u0000"'])),
        restart: maybe(0.7, () => ({ from: generation(0.3), keep: maybe(0.5, () => "succeeded") })),
        traceparent: maybe(0.4, () => pick(TRACES)),
      };
    },
    add: () => ({ op: op(), ...announcement(maker), generation: generation(0.2) }),
    seal: () => ({ op: op(), generation: generation(0.2) }),
    ack: () => ({
      op: op(),
      tasks: some([ackOf], 3).map((make) => make()),
      generation: generation(0.1),
      earlyTtlMs: pick([0, 1_000, 300_000]),
      next: maybe(0.25, () => announcement(maker)),
      view: maybe(0.2, () => true),
      traceparent: maybe(0.4, () => pick(TRACES)),
    }),
    decrement: () => ({
      op: op(),
      by: 1 + below(4),
      generation: generation(0.2),
      traceparent: maybe(0.4, () => pick(TRACES)),
    }),
    count: () => ({
      op: op(),
      stage: pick(STAGES),
      processed: maybe(0.4, () => pick([0, 1, 5, 1e12])),
      requeued: maybe(0.4, () => below(5)),
      error: maybe(0.3, () => pick(ERRORS)),
      brief: maybe(0.1, () => "x…"),
      generation: generation(0.1),
    }),
    retry: () => ({ op: op(), tasks: some([refOf], 9).map((make) => make(maker)), generation: generation(0.2) }),
    extend: () => ({ op: op(), timeoutMs: pick([1, 60_000, 7_200_000]), generation: generation(0.2) }),
    heartbeat: () => ({ generation: generation(0.2) }),
    cancel: () => ({
      reason: pick(["", "enough", "é"]),
      generation: generation(0.3),
      sparesChildren: maybe(0.3, () => true),
    }),
    cancelChild: () => ({
      reason: pick(["parent", "é"]),
      key: pick(PARENTS),
      generation: generation(1),
      ttlMs: pick([1, 60_000, 3_600_000]),
    }),
    abandon: () => ({ op: op(), caller: pick(seen.callers.slice(-4).concat("nobody")), reason: "the handler failed" }),
    remove: () => ({ op: op() }),
  };
}

function reads(maker: Maker): Inputs {
  const { below, pick, maybe, seen } = maker;
  const bytes = (): number | undefined => maybe(0.4, () => pick([1, 140, 300, 600]));
  const generation = (): number | undefined => maybe(0.3, () => pick(seen.generations.slice(-2)));
  const after = (): number => pick([0, 0, 1, 2, 3, 64, 65, 255, 256]);
  return {
    status: () => ({}),
    wait: () => ({
      generation: generation(),
      background: maybe(0.3, () => true),
      isKnown: maybe(0.3, () => true),
    }),
    progress: () => ({ after: pick(["", ...seen.versions.slice(-3)]), isKnown: maybe(0.3, () => true) }),
    tasks: () => ({
      state: maybe(0.6, () => pick(["open", "succeeded", "failed"])),
      after: after(),
      limit: pick([1, 2, 5, 100]),
      bytes: bytes(),
      generation: generation(),
    }),
    results: () => ({
      order: maybe(0.7, () => pick(["registration", "acks"])),
      after: after(),
      limit: pick([1, 2, 5, 100]),
      bytes: bytes(),
      generation: generation(),
    }),
    children: () => {
      const cascade = { chain: pick(seen.generations.slice(-4)), lists: 1 + below(4) };
      const page = { after: pick([0, 0, 0, 1, 2, 1_024, 1_025]), limit: 1 + below(4) };
      // A client asks for the children of now.
      return page.limit % 2 === 0 ? page : { ...cascade, ...page };
    },
  };
}

function deliveries(maker: Maker): Inputs {
  const { random, below, pick, maybe, op, seen } = maker;
  const retry = () => ({ maxAttempts: 1 + below(4), baseDelayMs: pick([0, 1_000]), maxDelayMs: 5_000 });
  return {
    take: () => ({ op: op(), generation: pick(seen.generations.slice(-2)) }),
    redeliver: () => ({
      op: op(),
      generation: maybe(0.3, () => pick(seen.generations.slice(-2))),
      pauseMs: maybe(0.5, () => pick([1, 60_000])),
    }),
    woken: () => ({
      op: maybe(0.5, op),
      sole: maybe(0.5, () => pick(["life-1", "life-2"])),
      routes: maybe(0.85, () => ROUTES.filter(() => random() < 0.7)),
      leaseMs: maybe(0.8, () => pick([1, 1_000, 60_000])),
      retry: maybe(0.8, retry),
      more: maybe(0.2, () => true),
    }),
    settle: () => ({
      key: seen.claims.at(-1)?.claim.key ?? "1",
      fence: seen.claims.at(-1)?.claim.fence ?? 1,
      retry: retry(),
      random: random(),
      error: maybe(0.5, () => pick(["", "broken", "é🙂"])),
      final: maybe(0.1, () => true),
      notBeforeMs: maybe(0.2, () => pick([0, 10_000])),
      handedBackMs: maybe(0.1, () => pick([0, 500])),
      rest: maybe(0.2, () => '{"after":["é"]}'),
    }),
  };
}
