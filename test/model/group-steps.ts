import fc from "fast-check";
import { inOrder, keyOf, type Policy, type Spec, type Task, type TaskDone } from "./group-record.js";
import { MAX_ATTEMPTS, UNIT_MS } from "./world.js";

const [A, B, C] = [{ id: "a" }, { id: "b" }, { id: "c" }];
const STAGED = { stage: "parse", id: "a" };
/** Few of everything, so that steps meet. With a deadline at a half, records end between halves, and without as well. */
const TASKS: readonly (readonly Task[] | number)[] = [
  ...[[A, B], [A], [B, A], [A, B, C], 2, 1, 3, 0, []],
  ...[
    [A, STAGED],
    [STAGED, { stage: "parse", id: "b" }],
  ],
];
const POLICIES: readonly (Policy | undefined)[] = [
  ...[undefined, undefined, undefined, { minSuccessful: 1 }, { minSuccessful: 2, toleratedFailureCount: 1 }],
  ...[{ toleratedFailureCount: 0 }, { toleratedFailurePpm: 500_000 }],
];
const TARGETS = [
  undefined,
  { end: "onEnd", handler: "record", failures: 0 },
  { end: "onComplete", handler: "flaky", failures: 1 },
  { end: "onEnd", handler: "flaky", failures: 1 },
  { end: "onTimeout", handler: "record", failures: 0 },
  { end: "onEnd", handler: "nobody", failures: 0 },
  { end: "onSuccess", handler: "record", failures: 0 },
  { end: "onFailure", handler: "record", failures: 0 },
] as const;
/** Those that take more attempts than two, and that end as a dead letter: where the clock does not jump over them. */
const SLOW_TARGETS = [
  { end: "onEnd", handler: "flaky", failures: 2 },
  { end: "onEnd", handler: "flaky", failures: MAX_ATTEMPTS + 1 },
] as const;

export type Which = "none" | "current" | "stale";

/** One step, before it is known what it will meet. */
export type GroupStep = { readonly group: number; readonly client: number } & (
  | {
      readonly step: "register";
      readonly spec: number;
      readonly timeout: number;
      readonly target: number;
      readonly same: boolean;
      readonly restart: Which | "true" | "keep";
      readonly open: boolean;
      readonly policy: number;
      readonly idle: boolean;
    }
  | {
      readonly step: "ack";
      readonly tasks: readonly TaskDone[];
      readonly generation: Which;
      readonly view: boolean;
      readonly next: readonly Task[] | undefined;
    }
  | { readonly step: "fail"; readonly task: Task; readonly generation: Which }
  | { readonly step: "add"; readonly tasks: readonly Task[]; readonly generation: Which }
  | { readonly step: "retry"; readonly tasks: readonly Task[]; readonly generation: Which }
  | { readonly step: "seal"; readonly generation: Which }
  | { readonly step: "heartbeat"; readonly generation: Which }
  | { readonly step: "extend"; readonly generation: Which }
  | { readonly step: "remove" }
  | { readonly step: "tasks" }
  | {
      readonly step: "decrement";
      readonly by: number;
      readonly opId: string | undefined;
      readonly generation: Which;
    }
  | { readonly step: "cancel"; readonly generation: Which }
  | {
      readonly step: "results";
      readonly after: number;
      readonly limit: number;
      readonly order: "acks" | "registration";
    }
  | { readonly step: "look" }
  | { readonly step: "wait" }
  | { readonly step: "redeliver" }
  | { readonly step: "copy"; readonly of: number }
  | { readonly step: "advance"; readonly halves: number; readonly justBefore: boolean }
);

/** The steps that call the group; a late copy of the call may come. */
export type GroupCall = Exclude<
  GroupStep,
  { step: "results" | "tasks" | "look" | "wait" | "redeliver" | "copy" | "advance" }
>;

const which = (...common: Which[]) => fc.constantFrom<Which>("none", ...common);
const ref: fc.Arbitrary<Task> = fc.constantFrom<Task[]>(A, B, A, B, C, { id: "d" }, STAGED);
const refs = fc.uniqueArray(ref, { minLength: 1, maxLength: 2, selector: keyOf }).map(inOrder);
const task: fc.Arbitrary<TaskDone> = fc.oneof(
  { weight: 4, arbitrary: ref },
  { weight: 1, arbitrary: fc.record({ id: fc.constantFrom("a", "b"), error: fc.constantFrom("broken", "lost") }) },
  {
    weight: 1,
    arbitrary: fc.record({ id: fc.constantFrom("a", "b"), result: fc.constantFrom<unknown>(1, "x", [], null) }),
  },
);

const STEPS: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<object> }[] = [
  {
    weight: 7,
    arbitrary: fc.record({
      step: fc.constant("register"),
      spec: fc.nat(TASKS.length - 1),
      timeout: fc.nat(2),
      target: fc.nat(TARGETS.length + SLOW_TARGETS.length - 1),
      same: fc.boolean(),
      restart: fc.constantFrom("none", "none", "none", "current", "current", "keep", "keep", "stale", "true"),
      open: fc.boolean(),
      policy: fc.nat(POLICIES.length - 1),
      idle: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      step: fc.constant("ack"),
      tasks: fc.uniqueArray(task, { minLength: 1, maxLength: 3, selector: keyOf }),
      generation: which("none", "none", "none", "current", "current", "stale"),
      view: fc.boolean(),
      next: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: refs }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("fail"), task: ref, generation: which("none") }) },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constantFrom("add", "add", "retry"),
      tasks: refs,
      generation: which("none", "none", "current", "stale"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constantFrom("seal", "seal", "heartbeat", "extend"),
      generation: which("none", "none", "current", "stale"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constantFrom("remove", "tasks") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("decrement"),
      by: fc.integer({ min: 1, max: 2 }),
      opId: fc.constantFrom(undefined, "message-1", "message-2"),
      generation: which("none", "none", "current", "stale"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("cancel"), generation: which("none", "current", "stale") }) },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("results"),
      after: fc.nat(2),
      limit: fc.integer({ min: 1, max: 2 }),
      order: fc.constantFrom("acks", "registration"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ step: fc.constantFrom("look", "wait", "redeliver", "redeliver") }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("copy"), of: fc.nat(20) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant("advance"),
      halves: fc.constantFrom(0, 1, 1, 2, 3, 4),
      justBefore: fc.boolean(),
    }),
  },
];

const place = { group: fc.constantFrom(0, 0, 0, 1), client: fc.nat(1) };

const groupStep: fc.Arbitrary<GroupStep> = fc
  .tuple(fc.record(place), fc.oneof(...STEPS))
  .map(([where, step]) => ({ ...where, ...step }) as GroupStep);

const REGISTER: GroupStep = {
  group: 0,
  client: 0,
  step: "register",
  spec: 0,
  timeout: 0,
  target: 3,
  same: false,
  restart: "none",
  open: false,
  policy: 0,
  idle: false,
};

/** Random steps, which mostly begin with a group. */
export const groupSteps = (length: fc.ArrayConstraints): fc.Arbitrary<GroupStep[]> =>
  fc
    .tuple(
      fc.constantFrom([], [REGISTER], [{ ...REGISTER, timeout: 1 }], [{ ...REGISTER, open: true }]),
      fc.array(groupStep, length),
    )
    .map(([first, then]) => [...first, ...then]);

/** What a step registers. `isExact`: the clock does not jump. */
export function specOf(step: Extract<GroupStep, { step: "register" }>, isExact: boolean): Spec {
  const tasks = TASKS[step.spec] ?? 0;
  const grows = typeof tasks !== "number" && step.open;
  const total = typeof tasks === "number" ? tasks : tasks.length;
  const policy = POLICIES[step.policy];
  const isPossible = grows || (policy?.minSuccessful ?? 0) <= total;
  const target = (isExact ? [...TARGETS, ...SLOW_TARGETS] : TARGETS)[step.target];
  const isClocked = step.timeout > 0 || step.idle;
  const spec = { tasks, grows, policy: isPossible ? policy : undefined, target };
  const listed = typeof tasks === "number" ? tasks : tasks.map(keyOf).sort();
  return {
    ...spec,
    fingerprint: JSON.stringify({ ...spec, tasks: listed }),
    timeoutMs: step.timeout > 0 ? (step.timeout - 0.5) * UNIT_MS : 0,
    idleMs: step.idle ? 0.45 * UNIT_MS : undefined,
    ttlMs: (isClocked ? 1.6 : 1.3) * UNIT_MS,
    metadata: step.timeout === 1 ? undefined : { spec: step.spec },
  };
}
