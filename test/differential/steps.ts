import type { Claim } from "../../src/core/outbox/attempts.js";
import type { TransitionName } from "../../src/core/registry.js";
import { seededRandom } from "../../src/testing/index.js";
import { groupInputs, type Inputs, type Maker, type Seen, TASKS } from "./group-steps.js";
import { Model, type Step } from "./model.js";

const OPS = ["op1", "op2", "op3", "op4", "op5"];
const GROUPS = ["g1", "g2", "__proto__"];
const KEYS = ["k1", "k2", "{k}3"];
const MAX = Number.MAX_SAFE_INTEGER;

/** A run in which one group and one request live long enough to meet everything. */
const FOCUSED = [...Array<"completion">(8).fill("completion"), "request", "request"] as const;
/** How often a machine's turn comes, and which of its steps come more often. */
const MACHINES = [
  ...Array<"completion">(14).fill("completion"),
  ...Array<"request">(6).fill("request"),
  ...Array<"kv">(4).fill("kv"),
  ...Array<"stats">(3).fill("stats"),
  "coalesce",
  "coalesce",
  ...Array<"dedupe">(4).fill("dedupe"),
  ...Array<"semaphore">(5).fill("semaphore"),
  ...Array<"limiter">(2).fill("limiter"),
] as const;
const OFTEN_IN_GROUPS = [
  ...Array<"ack">(14).fill("ack"),
  ...[
    "register",
    "register",
    "register",
    "register",
    "register",
    "add",
    "add",
    "add",
    "add",
    "retry",
    "retry",
    "count",
    "decrement",
  ],
  ...["woken", "woken", "woken", "settle", "settle", "settle", "tasks", "results", "children"],
];
const OFTEN = {
  completion: OFTEN_IN_GROUPS,
  kv: ["incr", "sadd"],
  request: OFTEN_IN_GROUPS,
  coalesce: [],
  dedupe: ["begin", "finish"],
  semaphore: ["acquire", "acquire", "turn"],
  limiter: [],
  stats: ["merge"],
} as const;

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
  const seen: Seen = { claims: [], generations: [0], versions: [], refs: [], callers: [] };
  const { claims } = seen;
  const isFocused = seed % 2 === 1;
  let fresh = 0;
  let nowMs = startAtMs;
  const op = (): string => (random() < (isFocused ? 0.15 : 0.5) ? pick(OPS) : `fresh${fresh++}`);

  const maker: Maker = { random, below, pick, maybe, some, op, nowMs: () => nowMs, seen };
  const groups = groupInputs(maker);
  const write = () => ({ op: op(), ttlMs: pick([0, 1_000, 600_000]) });
  const kv: Inputs = {
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
  const coalesce: Inputs = {
    next: () => ({ op: op(), ttlMs: pick([1, 5_000, 600_000]), held: maybe(0.4, () => true) }),
    seen: () => ({ version: nowMs + pick([-5_000, -50, -1, 0, 1, 2, 100]), ttlMs: pick([1, 5_000, 600_000]) }),
  };
  const lease = () => ({ op: op(), leaseMs: pick([1, 1_000, 60_000]), windowMs: pick([1, 5_000, 600_000]) });
  const dedupe: Inputs = {
    claim: () => ({ op: op(), ttlMs: pick([1, 5_000, 600_000]) }),
    release: () => ({ op: op(), holder: maybe(0.5, op) }),
    begin: () => ({ ...lease(), fingerprint: maybe(0.3, () => pick(["", "é\u0000"])) }),
    renew: () => lease(),
    finish: () => ({ op: op(), windowMs: pick([1, 5_000, 600_000]), value: maybe(0.7, () => pick(["", "[]", "{}"])) }),
    fail: () => ({ op: op() }),
    forget: () => ({ op: op() }),
    wait: () => ({}),
  };
  const semaphore: Inputs = {
    acquire: () => ({
      op: op(),
      permits: pick([1, 2, 2, 3]),
      leaseMs: pick([1, 1_000, 30_000]),
      queue: random() < 0.8,
    }),
    extend: () => ({ op: op(), leaseMs: pick([1, 1_000, 30_000]) }),
    release: () => ({ op: op() }),
    leave: () => ({ op: op() }),
    turn: () => ({ op: op() }),
    status: () => ({}),
    woken: () => ({}),
  };
  const limiter: Inputs = {
    take: () => ({ limit: pick([3, 7, 1_000_000]), windowMs: pick([1, 999, 86_400_000]), burst: 5, cost: below(6) }),
  };
  const stats: Inputs = {
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
  const kinds = { completion: groups, kv, request: groups, coalesce, dedupe, stats, semaphore, limiter };
  const oftenIn = (names: readonly string[], often: readonly string[]): string => pick([...names, ...often, ...often]);

  const steps: Step[] = [];
  for (let i = 0; i < count; i++) {
    const leap = random();
    if (leap < 0.7) nowMs += below(50);
    else if (leap < 0.96) nowMs += below(1_000);
    else if (leap < 0.995) nowMs += below(60_000);
    else nowMs += below(200_000_000);
    const machine = isFocused ? pick(FOCUSED) : pick(MACHINES);
    let id = label + (isFocused ? "g1" : pick(machine === "kv" ? KEYS : GROUPS));
    const name = oftenIn(Object.keys(kinds[machine]), OFTEN[machine]);
    const made = kinds[machine][name]?.() ?? {};
    if (name === "settle" && claims.length > 0) {
      const { id: owner, claim } = pick(claims.slice(-4));
      if (random() < 0.9) id = owner;
      made.key = claim.key;
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
    learn(seen, id, model.apply(step).output);
  }
  return steps;
}

/** Keeps what an output has named, for later inputs. */
function learn({ claims, generations, versions }: Seen, id: string, output: unknown): void {
  const { claims: made, view } = output as {
    claims?: unknown;
    view?: { generation: number; changes: number };
  };
  if (Array.isArray(made)) for (const claim of made as Claim[]) claims.push({ id, claim });
  if (view === undefined) return;
  generations.push(view.generation);
  versions.push(`${view.generation}.${view.changes}`);
}
