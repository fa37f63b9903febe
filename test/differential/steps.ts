import type { Claim } from "../../src/core/outbox/attempts.js";
import type { TransitionName } from "../../src/core/registry.js";
import { seededRandom } from "../../src/testing/index.js";
import { Model, type Step } from "./model.js";

const OPS = ["op1", "op2", "op3", "op4", "op5"];
const TASKS = ["a", "b", "c", "__proto__", "é🙂", "d\u0000", "constructor"];
/** Numbers at the edges of what is stored together, and texts that nearly are numbers. */
const INDEXES = [
  "0",
  "1",
  "2",
  "3",
  "255",
  "256",
  "299",
  "300",
  "01",
  "1e2",
  "0x1",
  "-0",
  "-1",
  " 1",
  "1.5",
  "nan",
  "inf",
];
const GROUPS = ["g1", "g2", "__proto__"];
const KEYS = ["k1", "k2", "{k}3"];
const ROUTES = ["handler:x", "handler:y", "url"];
const HANDLER = { route: "handler:x", body: '{"n":[]}' };
const STAGES = ["parse", "embed", "__proto__"];
const URL_TARGET = { route: "url", body: "https://a.example/" };
const MAX = Number.MAX_SAFE_INTEGER;

/** How often a machine's turn comes, and which of its steps come more often. */
const MACHINES = [
  ...Array<"completion">(10).fill("completion"),
  ...Array<"request">(6).fill("request"),
  ...Array<"kv">(4).fill("kv"),
  ...Array<"stats">(3).fill("stats"),
  "coalesce",
  "coalesce",
  "dedupe",
  "dedupe",
] as const;
const OFTEN = {
  completion: ["register", "ack", "ack", "woken", "settle"],
  kv: ["incr", "sadd"],
  request: ["register", "roots", "mark", "mark"],
  coalesce: [],
  dedupe: [],
  stats: ["merge"],
} as const;

/** Registrations that conflict with each other. */
const SPECS = [
  { spec: "s0", total: 2 },
  { spec: "s1", total: 3, tasks: ["a", "b", "c"], targets: { complete: HANDLER, end: URL_TARGET } },
  { spec: "s2", total: 2, tasks: ["__proto__", "a"], targets: { end: { route: "handler:y", body: "null" } } },
  { spec: "s3", total: 0, targets: { complete: HANDLER } },
  { spec: "s4", total: 4, targets: { timeout: URL_TARGET, complete: HANDLER } },
  { spec: "s5", total: 0, tasks: [] },
  { spec: "s6", total: 3, indexed: true, targets: { complete: HANDLER } },
  { spec: "s7", total: 300, indexed: true },
];

/**
 * A random run of transitions, the same for the same seed. Few ids and few ops, so that they meet: retries with the same
 * op, restarts, claims that are settled twice or late, deadlines and whole lifetimes that pass.
 *
 * @param label begins every id, so that runs stay apart in one store.
 */
export function randomSteps(seed: number, count: number, startAtMs: number, label = ""): Step[] {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const maybe = <T>(chance: number, value: () => T): T | undefined => (random() < chance ? value() : undefined);
  const some = <T>(list: readonly T[], most: number): T[] => Array.from({ length: 1 + below(most) }, () => pick(list));
  const model = new Model();
  const claims: { id: string; claim: Claim }[] = [];
  const generations: number[] = [0];
  let fresh = 0;
  let nowMs = startAtMs;
  const op = (): string => (random() < 0.5 ? pick(OPS) : `fresh${fresh++}`);

  const completion: Record<string, () => Record<string, unknown>> = {
    register: () => ({
      op: op(),
      ...pick(SPECS),
      timeoutMs: pick([0, 0, 1_000, 60_000, 3_600_000]),
      ttlMs: pick([1, 5_000, 600_000, 3_600_000]),
      deliveryId: `msg_${fresh}`,
      metadata: maybe(0.3, () => pick(['{"m":[]}', "null", '"é\\u0000"'])),
      restart: maybe(0.4, () => ({ from: maybe(0.7, () => pick(generations.slice(-3))) })),
    }),
    ack: () => ({
      op: op(),
      tasks: some(random() < 0.6 ? TASKS : INDEXES, 4).map((id) => {
        const task = { id };
        if (random() < 0.2) return { ...task, error: pick(["", "broken", "x".repeat(40), "é\u0000"]) };
        return random() < 0.3 ? { ...task, result: pick(["null", "[]", '{"a":{}}']) } : task;
      }),
      earlyTtlMs: pick([1_000, 300_000]),
      generation: maybe(0.2, () => pick(generations.slice(-3))),
      view: maybe(0.2, () => true),
    }),
    decrement: () => ({ op: op(), by: 1 + below(4), generation: maybe(0.2, () => pick(generations.slice(-3))) }),
    cancel: () => ({ reason: pick(["", "enough", "é"]), generation: maybe(0.3, () => pick(generations.slice(-2))) }),
    status: () => ({}),
    wait: () => ({ generation: maybe(0.3, () => pick(generations.slice(-2))), background: maybe(0.3, () => true) }),
    results: () => ({ after: below(4), limit: 1 + below(3), bytes: maybe(0.3, () => pick([1, 30, 60])) }),
    take: () => ({ op: op(), generation: pick(generations.slice(-2)) }),
    redeliver: () => ({ op: op(), generation: maybe(0.3, () => pick(generations.slice(-2))) }),
    woken: () => ({
      op: maybe(0.5, op),
      sole: maybe(0.5, () => pick(["life-1", "life-2"])),
      routes: maybe(0.85, () => ROUTES.filter(() => random() < 0.6)),
      leaseMs: maybe(0.8, () => pick([1, 1_000, 60_000])),
      retry: maybe(0.8, () => ({ maxAttempts: 1 + below(4), baseDelayMs: pick([0, 1_000]), maxDelayMs: 5_000 })),
      more: maybe(0.2, () => true),
    }),
    settle: () => ({
      generation: claims.at(-1)?.claim.generation ?? 1,
      fence: claims.at(-1)?.claim.fence ?? 1,
      retry: { maxAttempts: 1 + below(4), baseDelayMs: pick([0, 1_000]), maxDelayMs: 5_000 },
      random: random(),
      error: maybe(0.5, () => pick(["", "broken"])),
      final: maybe(0.1, () => true),
      notBeforeMs: maybe(0.2, () => pick([0, 10_000])),
    }),
  };
  const write = () => ({ op: op(), ttlMs: pick([0, 1_000, 600_000]) });
  const kv: Record<string, () => Record<string, unknown>> = {
    incr: () => ({ ...write(), delta: pick([1, 1, -1, 0, 41, 1e15, MAX, -MAX]) }),
    getInt: () => ({}),
    setIfAbsent: () => ({ op: op(), ttlMs: pick([1, 1_000, 600_000]) }),
    sadd: () => ({ ...write(), members: some([...TASKS, ""], 5) }),
    srem: () => ({ ...write(), members: some([...TASKS, ""], 5) }),
    scard: () => ({}),
    rpush: () => ({ ...write(), values: some([...TASKS, "", "{}", "[]", "é日🙂"], 4) }),
    lrange: () => ({
      from: maybe(0.5, () => below(4)),
      life: maybe(0.5, op),
      bytes: maybe(0.6, () => pick([1, 4, 9, 20])),
    }),
    expire: () => ({ ttlMs: pick([1, 1_000, 600_000]) }),
    delete: () => ({ op: op() }),
  };
  const roots = (): { stage: string; roots: string[] } => ({ stage: pick(STAGES), roots: some(TASKS, 3) });
  const request: Record<string, () => Record<string, unknown>> = {
    register: () => ({ op: op(), ttlMs: pick([1, 5_000, 600_000, 3_600_000]) }),
    roots: () => ({ op: op(), ...roots() }),
    seal: () => ({ op: op() }),
    abandon: () => ({ op: op(), caller: pick(OPS), stage: pick(STAGES), error: "the handler failed" }),
    mark: () => ({
      op: op(),
      stage: pick(STAGES),
      root: pick(TASKS),
      processed: pick([0, 1, 1, 1e9]),
      error: maybe(0.2, () => pick(["", "broken", "é\u0000"])),
      next: maybe(0.2, () => [roots(), roots()]),
      begunBeforeMs: maybe(0.1, () => nowMs - 5_000),
    }),
    record: () => ({
      op: op(),
      stage: pick(STAGES),
      processed: maybe(0.4, () => below(5)),
      requeued: maybe(0.4, () => below(5)),
      error: maybe(0.3, () => "on the way"),
    }),
    status: () => ({}),
    wait: () => ({}),
    progress: () => ({ after: pick([0, nowMs - 1_000, nowMs, nowMs + 10]) }),
    cleanup: () => ({ op: op() }),
  };
  const coalesce: Record<string, () => Record<string, unknown>> = {
    next: () => ({ op: op(), ttlMs: pick([1, 5_000, 600_000]), held: maybe(0.4, () => true) }),
    seen: () => ({ version: nowMs + pick([-5_000, -50, -1, 0, 1, 2, 100]), ttlMs: pick([1, 5_000, 600_000]) }),
  };
  const dedupe: Record<string, () => Record<string, unknown>> = {
    claim: () => ({ op: op(), ttlMs: pick([1, 5_000, 600_000]) }),
    release: () => ({ op: op(), holder: maybe(0.5, op) }),
  };
  const stats: Record<string, () => Record<string, unknown>> = {
    merge: () => ({
      op: op(),
      id: pick(TASKS),
      processed: pick([0, 1, 1e9]),
      requeueCount: below(3),
      errorCount: below(2),
      maxTracked: pick([1, 2, 2, 3]),
      ttlMs: pick([1_000, 600_000]),
    }),
    consume: () => ({ op: op(), id: pick(TASKS) }),
  };
  const kinds = { completion, kv, request, coalesce, dedupe, stats };
  const oftenIn = (names: readonly string[], often: readonly string[]): string => pick([...names, ...often, ...often]);

  const steps: Step[] = [];
  for (let i = 0; i < count; i++) {
    const leap = random();
    if (leap < 0.6) nowMs += below(50);
    else if (leap < 0.9) nowMs += below(3_000);
    else if (leap < 0.98) nowMs += below(120_000);
    else nowMs += below(200_000_000);
    const machine = pick(MACHINES);
    let id = label + pick(machine === "kv" ? KEYS : GROUPS);
    const name = oftenIn(Object.keys(kinds[machine]), OFTEN[machine]);
    const made = kinds[machine][name]?.() ?? {};
    if (name === "settle" && claims.length > 0) {
      const { id: owner, claim } = pick(claims.slice(-4));
      if (random() < 0.9) id = owner;
      made.generation = claim.generation;
      made.fence = claim.fence;
    }
    const step: Step = {
      nowMs,
      transition: `${machine}.${name}` as TransitionName,
      id,
      // As it comes over the wire: without what is undefined.
      input: JSON.parse(JSON.stringify(made)) as Record<string, unknown>,
    };
    steps.push(step);
    const output = model.apply(step).output as { claims?: unknown; view?: { generation: number } };
    if (Array.isArray(output.claims)) for (const claim of output.claims as Claim[]) claims.push({ id, claim });
    if (output.view !== undefined) generations.push(output.view.generation);
  }
  return steps;
}
