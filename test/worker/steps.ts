import { expect } from "vitest";

/** The steps of the machines: what each takes, what it then answers, and what it refuses. */

type Input = Readonly<Record<string, unknown>>;

/** A change of the good input that is refused; `undefined` leaves a field out. */
export type Refused = readonly (readonly [change: Input, detail: RegExp])[];

export interface Step {
  readonly input: Input;
  /** The answer about an id that no call has written. */
  readonly output: object;
  readonly bad: Refused;
}

const long = "x".repeat(257);
/** A text that takes three bytes of UTF-8 a character, so that a count of characters would let it through. */
export const wide = "日".repeat(22);
export const ids = (n: number) => Array.from({ length: n }, (_, i) => `task-${i}`);

export const MORE: Refused = [[{ more: 1 }, /^input has an unknown field: more/]];
export const OP: Refused = [
  [{ op: undefined }, /^input\.op is required/],
  [{ op: "" }, /^input\.op must be 1 to 256/],
  [{ op: long }, /^input\.op/],
  [{ op: 5 }, /^input\.op must be a string/],
];
export const TTL: Refused = [
  [{ ttlMs: undefined }, /^input\.ttlMs is required/],
  [{ ttlMs: 0 }, /^input\.ttlMs must be a whole number from 1 /],
  [{ ttlMs: 1.5 }, /^input\.ttlMs/],
  [{ ttlMs: 31_536_000_001 }, /^input\.ttlMs/],
];
export const countOf = (field: string): Refused => [
  [{ [field]: -1 }, new RegExp(`^input\\.${field} must be a whole number from 0 to 1000000000`)],
  [{ [field]: 0.5 }, new RegExp(`^input\\.${field}`)],
  [{ [field]: 1_000_000_001 }, new RegExp(`^input\\.${field}`)],
  [{ [field]: "1" }, new RegExp(`^input\\.${field} must be a number`)],
];
const STAGE: Refused = [
  [{ stage: undefined }, /^input\.stage is required/],
  [{ stage: "" }, /^input\.stage must be 1 to 64/],
  [{ stage: wide }, /^input\.stage must be 1 to 64/],
  [{ stage: "\udfff" }, /^input\.stage/],
];
const GENERATION: Refused = [
  [{ generation: -1 }, /^input\.generation must be a whole number from 0/],
  [{ generation: 0.5 }, /^input\.generation/],
  [{ generation: 2 ** 53 }, /^input\.generation/],
  [{ generation: "1" }, /^input\.generation must be a number/],
  [{ generation: null }, /^input\.generation/],
];
const REASON: Refused = [
  [{ reason: undefined }, /^input\.reason is required/],
  [{ reason: "日".repeat(342) }, /^input\.reason must be at most 1024 bytes/],
];
const PAGE: Refused = [
  [{ after: undefined }, /^input\.after is required/],
  [{ after: -1 }, /^input\.after must be a whole number from 0/],
  [{ after: 1_000_000_001 }, /^input\.after/],
  [{ limit: 0 }, /^input\.limit must be a whole number from 1 to 1000/],
  [{ limit: 1_001 }, /^input\.limit/],
  [{ bytes: 0 }, /^input\.bytes/],
  [{ bytes: 1e9 }, /^input\.bytes/],
];

/** Texts that are no list of a stage and 1 to 64 ids. */
export const NO_LISTS: readonly string[] = [
  "",
  "a",
  "{",
  "null",
  "1",
  '"ab"',
  "[]",
  "{}",
  '[""]',
  '["s"]',
  "[1,1]",
  '["s",1]',
  '["s",null]',
  '["s",["a"]]',
  '["s",{"length":1}]',
  '["s",""]',
  '["s","a",""]',
  '[null,"a"]',
  '[["s"],"a"]',
  '{"0":"s","1":"a","length":2}',
  '["s","a"',
  '["s","a"],',
  '["s","a"]]',
  '["s","\\ud800"]',
  '["\\udfff","a"]',
  JSON.stringify([wide, "a"]),
  JSON.stringify(["x".repeat(65), "a"]),
  JSON.stringify(["s", long]),
  JSON.stringify(["s", "日".repeat(86)]),
  JSON.stringify(["s", ...ids(65)]),
  `${"[".repeat(10_000)}${"]".repeat(10_000)}`,
];
const listOf = (n: number): string => JSON.stringify(["s", ...ids(n)]);
/** What is refused in the lists and children of an announcement that stands at `at`. */
function announcement(at: string, within: (change: Input) => Input, most: number): Refused {
  const field = at.replaceAll(".", "\\.");
  const lists = (value: unknown): Input => within({ lists: value });
  const child = { id: "a", machine: "completion", groupId: "child" };
  const children = (change: Input): Input => within({ lists: ['["","a"]'], children: [{ ...child, ...change }] });
  return [
    [lists(undefined), new RegExp(`^${field}\\.lists is required`)],
    [lists('["s","a"]'), new RegExp(`^${field}\\.lists must be a list`)],
    [lists([["s", "a"]]), new RegExp(`^${field}\\.lists\\[0\\] must be a string`)],
    ...NO_LISTS.map((text) => [lists(['["","a"]', text]), new RegExp(`^${field}\\.lists\\[1\\] must be`)] as const),
    ...(most > 1_000
      ? []
      : ([
          [lists(Array(1_001).fill("[]")), new RegExp(`^${field}\\.lists must hold 0 to 1000`)],
          [lists(Array(16).fill(listOf(63))), new RegExp(`^${field}\\.lists must name at most 1000 tasks in all`)],
          [within({ lists: [], children: Array(1_001).fill(child) }), new RegExp(`^${field}\\.children must hold`)],
        ] as const)),
    [
      within({ lists: ['["","a"]'], children: [child, child] }),
      new RegExp(`^${field}\\.children must be at most one for each task`),
    ],
    [within({ lists: [], children: [] }), new RegExp(`^${field}\\.children must hold 1 to`)],
    [children({ id: "" }), new RegExp(`^${field}\\.children\\[0\\]\\.id`)],
    [children({ groupId: "" }), new RegExp(`^${field}\\.children\\[0\\]\\.groupId`)],
    [children({ groupId: long }), new RegExp(`^${field}\\.children\\[0\\]\\.groupId`)],
    [children({ stage: "" }), new RegExp(`^${field}\\.children\\[0\\]\\.stage`)],
    [children({ more: 1 }), new RegExp(`^${field}\\.children\\[0\\] has an unknown field: more`)],
    ...["kv", "dedupe", "__proto__", "constructor", "completion.cancel", "", 1].map(
      (machine) => [children({ machine }), new RegExp(`^${field}\\.children\\[0\\]\\.machine`)] as const,
    ),
  ];
}

const target = { route: "task", body: '{"machine":"completion","id":"p","taskId":"t"}' };
const targets = (end: unknown): Input => ({ targets: { end } });
const parent = (value: unknown): Input => ({ parent: value });
const REGISTRATION: Refused = [
  ...MORE,
  ...OP,
  ...TTL.slice(2),
  ...announcement("input", (change) => change, 100_000),
  [{ fingerprint: undefined }, /^input\.fingerprint is required/],
  [{ fingerprint: "0".repeat(63) }, /^input\.fingerprint must be 64 hexadecimal digits/],
  [{ fingerprint: `${"0".repeat(63)}G` }, /^input\.fingerprint/],
  [{ kind: "other" }, /^input\.kind/],
  [{ total: 1 }, /^input\.total must be 0 with lists/],
  [{ timeoutMs: -1 }, /^input\.timeoutMs/],
  [{ timeoutMs: undefined }, /^input\.timeoutMs is required/],
  [{ timeoutMs: 31_536_000_001 }, /^input\.timeoutMs/],
  [{ idleMs: 0 }, /^input\.idleMs must be a whole number from 1/],
  [{ metadata: "{" }, /^input\.metadata must be JSON/],
  [{ metadata: JSON.stringify("x".repeat(16_384)) }, /^input\.metadata must be at most 16384 bytes/],
  [{ grows: false }, /^input\.grows/],
  [{ restart: { from: -1 } }, /^input\.restart\.from/],
  [{ restart: { keep: "failed" } }, /^input\.restart\.keep/],
  [targets({ ...target, more: 1 }), /^input\.targets\.end has an unknown field: more/],
  [targets({ route: "task", body: '{"machine":"kv","id":"p","taskId":"t"}' }), /^input\.targets\.end must be a/],
  [targets({ route: "cascade", body: "{}" }), /^input\.targets\.end must be a/],
  [parent({}), /^input\.parent\.key is required/],
  [parent({ key: "k" }), /^input\.parent\.body is required/],
  [parent({ key: "k", body: "{" }), /^input\.parent\.body must be a task as JSON text/],
  [parent({ key: "k", body: target.body, more: 1 }), /^input\.parent has an unknown field: more/],
  [parent({ key: "k", body: '{"machine":"dedupe","id":"p","taskId":"t"}' }), /^input\.parent\.body must be a task/],
  [parent({ key: "k", body: '{"machine":"request","id":"p","taskId":7}' }), /^input\.parent\.body must be a task/],
  [parent({ key: "k", body: target.body, generation: -1 }), /^input\.parent\.generation/],
];

const ackedTask = (change: Input): Input => ({ tasks: [{ id: "a", ...change }] });
const TASK_REFS: Refused = [
  [{ tasks: undefined }, /^input\.tasks is required/],
  [{ tasks: [] }, /^input\.tasks must hold 1 to 1000/],
  [{ tasks: Array(1_001).fill({ id: "a" }) }, /^input\.tasks must hold 1 to 1000/],
  [{ tasks: ["a"] }, /^input\.tasks\[0\] must be an object/],
  [ackedTask({ id: "" }), /^input\.tasks\[0\]\.id must be 1 to 256/],
  [ackedTask({ id: 1 }), /^input\.tasks\[0\]\.id/],
  [ackedTask({ stage: "" }), /^input\.tasks\[0\]\.stage must be 1 to 64/],
  [ackedTask({ stage: wide }), /^input\.tasks\[0\]\.stage/],
  [ackedTask({ more: 1 }), /^input\.tasks\[0\] has an unknown field: more/],
];

/** The steps that groups and requests share, but for the registration. */
const SHARED: Readonly<Record<string, Step>> = {
  add: {
    input: { op: "op", lists: [...Array(15).fill(listOf(64)), listOf(40)] },
    output: { outcome: "unknown" },
    bad: [...MORE, ...OP, ...GENERATION, ...announcement("input", (change) => change, 1_000)],
  },
  seal: { input: { op: "op" }, output: { outcome: "unknown" }, bad: [...MORE, ...OP, ...GENERATION] },
  ack: {
    input: { op: "op", tasks: ids(1_000).map((id) => ({ stage: "s", id, processed: 0 })), earlyTtlMs: 0 },
    output: { results: ids(1_000).map(() => ({ verdict: "unknown", state: "unregistered", ended: false })) },
    bad: [
      ...MORE,
      ...OP,
      ...GENERATION,
      ...TASK_REFS,
      [ackedTask({ result: "{" }), /^input\.tasks\[0\]\.result must be JSON/],
      [ackedTask({ result: '"x"', error: "x" }), /^input\.tasks\[0\] must not have both/],
      [ackedTask({ error: "日".repeat(342) }), /^input\.tasks\[0\]\.error must be at most 1024 bytes/],
      [ackedTask({ error: "x", brief: "日".repeat(86) }), /^input\.tasks\[0\]\.brief must be at most 256 bytes/],
      [ackedTask({ processed: -1 }), /^input\.tasks\[0\]\.processed/],
      [{ earlyTtlMs: undefined }, /^input\.earlyTtlMs is required/],
      [{ earlyTtlMs: -1 }, /^input\.earlyTtlMs/],
      [{ view: "yes" }, /^input\.view/],
      [{ next: {} }, /^input\.next\.lists is required/],
      [{ next: { lists: [], more: 1 } }, /^input\.next has an unknown field: more/],
      ...announcement("input.next", (next) => ({ next }), 1_000),
    ],
  },
  decrement: {
    input: { op: "op", by: 1 },
    output: {},
    bad: [...MORE, ...OP, ...GENERATION, [{ by: 0 }, /^input\.by/], [{ by: 1_000_000_001 }, /^input\.by/]],
  },
  count: {
    input: {
      op: "op",
      stage: "s",
      processed: 1_000_000_000,
      requeued: 0,
      error: "日".repeat(341),
      brief: "日".repeat(85),
    },
    output: { verdict: "unknown", state: "unregistered" },
    bad: [
      ...MORE,
      ...OP,
      ...STAGE,
      ...GENERATION,
      ...countOf("processed"),
      ...countOf("requeued"),
      [{ error: "日".repeat(342) }, /^input\.error must be at most 1024 bytes/],
      [{ brief: "日".repeat(86) }, /^input\.brief must be at most 256 bytes/],
      [
        { processed: undefined, requeued: undefined, error: undefined },
        /^input must have processed, requeued or error/,
      ],
    ],
  },
  retry: {
    input: { op: "op", tasks: [{ stage: "s", id: "a" }] },
    output: { outcome: "unknown" },
    bad: [...MORE, ...OP, ...GENERATION, ...TASK_REFS],
  },
  extend: {
    input: { op: "op", timeoutMs: 31_536_000_000 },
    output: {},
    bad: [
      ...MORE,
      ...OP,
      ...GENERATION,
      [{ timeoutMs: 0 }, /^input\.timeoutMs must be a whole number from 1/],
      [{ timeoutMs: 31_536_000_001 }, /^input\.timeoutMs/],
    ],
  },
  heartbeat: { input: {}, output: { alive: true, state: "unregistered" }, bad: [...MORE, ...GENERATION] },
  cancel: {
    input: { reason: "日".repeat(341), sparesChildren: true },
    output: {},
    bad: [...MORE, ...REASON, ...GENERATION, [{ sparesChildren: 1 }, /^input\.sparesChildren/]],
  },
  cancelChild: {
    input: { reason: "r", key: "k".repeat(1_024), generation: 1, ttlMs: 1_000 },
    output: { cancelled: false },
    bad: [
      ...MORE,
      ...REASON,
      ...GENERATION,
      ...TTL,
      [{ generation: undefined }, /^input\.generation is required/],
      [{ key: undefined }, /^input\.key is required/],
      [{ key: "k".repeat(1_025) }, /^input\.key must be at most 1024 bytes/],
    ],
  },
  abandon: {
    input: { op: "op", caller: "caller", reason: "日".repeat(341) },
    output: { outcome: "unknown" },
    bad: [
      ...MORE,
      ...OP,
      ...REASON,
      [{ caller: undefined }, /^input\.caller is required/],
      [{ caller: "" }, /^input\.caller must be 1 to 256/],
    ],
  },
  remove: { input: { op: "op" }, output: { found: false }, bad: [...MORE, ...OP] },
  status: { input: {}, output: {}, bad: MORE },
  brief: { input: {}, output: {}, bad: MORE },
  wait: {
    input: { isKnown: true },
    output: { ready: true, version: expect.any(Number) },
    bad: [...MORE, ...GENERATION, [{ isKnown: 1 }, /^input\.isKnown/], [{ background: "x" }, /^input\.background/]],
  },
  progress: {
    input: { after: "999999999999999.999999999999999", isKnown: true },
    output: { ready: true, version: expect.any(Number), recheckInMs: expect.any(Number) },
    bad: [
      ...MORE,
      [{ after: undefined }, /^input\.after is required/],
      [{ isKnown: 1 }, /^input\.isKnown/],
      ...["x", "1", "1.", ".1", "-1.1", "1.2.3", `1.${"9".repeat(16)}`, " 1.1", "1.1\n", 1, 1.1].map(
        (after) => [{ after }, /^input\.after must be (the version of a status|a string)/] as const,
      ),
    ],
  },
  tasks: {
    input: { after: 0, limit: 1_000, state: "open" },
    output: { found: false, items: [] },
    bad: [...MORE, ...PAGE, ...GENERATION, [{ state: "done" }, /^input\.state/]],
  },
  results: {
    input: { after: 0, limit: 1_000, order: "registration" },
    output: { found: false, items: [] },
    bad: [...MORE, ...PAGE, ...GENERATION, [{ order: "id" }, /^input\.order/]],
  },
  children: {
    input: { after: 0, limit: 1_000, chain: 1, lists: 1 },
    output: { items: [] },
    bad: [...MORE, ...PAGE, [{ chain: 0 }, /^input\.chain/], [{ lists: 0 }, /^input\.lists/]],
  },
  take: {
    input: { op: "op", generation: 1 },
    output: { taken: false },
    bad: [...MORE, ...OP, ...GENERATION, [{ generation: undefined }, /^input\.generation is required/]],
  },
  redeliver: { input: { op: "op" }, output: {}, bad: [...MORE, ...OP, ...GENERATION] },
};

const registration = {
  op: "op",
  fingerprint: "0123456789abcdef".repeat(4),
  kind: "named",
  total: 0,
  lists: ['["","a"]', '["s","a","b"]'],
  timeoutMs: 0,
  ttlMs: 60_000,
};
const created = (total: number): object => ({
  outcome: "created",
  view: expect.objectContaining({ state: "open", total, remaining: total }),
});

const named = (machine: string): Record<string, Step> =>
  Object.fromEntries(Object.entries(SHARED).map(([step, each]) => [`${machine}.${step}`, each]));

/** Every step of both kinds of groups that a client may run. */
export const GROUP_STEPS: Readonly<Record<string, Step>> = {
  "completion.register": {
    input: registration,
    output: created(3),
    bad: [
      ...REGISTRATION,
      [{ request: true }, /^input\.request must be absent/],
      [{ ttlMs: 0 }, /^input\.ttlMs must be a whole number from 1 /],
      [{ policy: {} }, /^input\.policy must have a limit/],
      [{ policy: { minSuccessful: 0 } }, /^input\.policy\.minSuccessful/],
      [{ policy: { toleratedFailurePpm: 1_000_001 } }, /^input\.policy\.toleratedFailurePpm/],
      [{ kind: "counted" }, /^input\.total must be 0 with lists/],
      [{ kind: "indexed", lists: [], total: 1_000_001 }, /^input\.total must be at most 1000000/],
      [{ kind: "counted", lists: [], total: 1, grows: true }, /^input\.grows must come with lists/],
    ],
  },
  "request.register": {
    input: { ...registration, request: true, grows: true },
    output: created(3),
    bad: [
      ...REGISTRATION.filter(([change]) => !("grows" in change)),
      [{ request: undefined }, /must be an open request without a policy/],
      [{ grows: undefined }, /must be an open request without a policy/],
      [{ policy: { minSuccessful: 1 } }, /must be an open request without a policy/],
      [{ ttlMs: 999 }, /^input\.ttlMs must be 1000 or more/],
    ],
  },
  ...named("completion"),
  ...named("request"),
};
