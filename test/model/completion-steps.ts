import fc from "fast-check";
import type { TaskDone } from "./completion-model.js";
import type { Spec } from "./completion-spec.js";
import { MAX_ATTEMPTS, UNIT_MS } from "./world.js";

/** Few of everything, so that steps meet. With a deadline at a half, records end between halves, and without as well. */
const TASKS = [["a", "b"], ["a"], ["b", "a"], ["a", "b", "c"], 2, 1, 3, 0, []] as const;
const TARGETS = [
  undefined,
  { end: "onEnd", handler: "record", failures: 0 },
  { end: "onComplete", handler: "flaky", failures: 1 },
  { end: "onEnd", handler: "flaky", failures: 1 },
  { end: "onTimeout", handler: "record", failures: 0 },
  { end: "onEnd", handler: "nobody", failures: 0 },
] as const;
/** Those that take more attempts than two, and that end as a dead letter: where the clock does not jump over them. */
const SLOW_TARGETS = [
  { end: "onEnd", handler: "flaky", failures: 2 },
  { end: "onEnd", handler: "flaky", failures: MAX_ATTEMPTS + 1 },
] as const;

export type Which = "none" | "current" | "stale";

/** One step, before it is known what it will meet. */
export type CompletionStep = { readonly group: number; readonly client: number } & (
  | {
      readonly step: "register";
      readonly spec: number;
      readonly timeout: number;
      readonly target: number;
      readonly same: boolean;
      readonly restart: Which | "true";
    }
  | { readonly step: "ack"; readonly tasks: readonly TaskDone[]; readonly generation: Which; readonly view: boolean }
  | { readonly step: "fail"; readonly task: string; readonly generation: Which }
  | {
      readonly step: "decrement";
      readonly by: number;
      readonly opId: string | undefined;
      readonly generation: Which;
    }
  | { readonly step: "cancel"; readonly generation: Which }
  | { readonly step: "results"; readonly after: number; readonly limit: number }
  | { readonly step: "look" }
  | { readonly step: "wait" }
  | { readonly step: "redeliver" }
  | { readonly step: "copy"; readonly of: number }
  | { readonly step: "advance"; readonly halves: number; readonly justBefore: boolean }
);

export type CompletionCall = Extract<CompletionStep, { step: "register" | "ack" | "fail" | "decrement" | "cancel" }>;

const which = (...common: Which[]) => fc.constantFrom<Which>("none", ...common);
const task = fc.oneof(
  { weight: 4, arbitrary: fc.record({ id: fc.constantFrom("a", "b", "a", "b", "c", "d") }) },
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
      restart: fc.constantFrom("none", "none", "none", "current", "current", "current", "stale", "true"),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      step: fc.constant("ack"),
      tasks: fc.uniqueArray(task, { minLength: 1, maxLength: 3, selector: ({ id }) => id }),
      generation: which("none", "none", "none", "current", "current", "stale"),
      view: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("fail"), task: fc.constantFrom("a", "b"), generation: which("none") }),
  },
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
    arbitrary: fc.record({ step: fc.constant("results"), after: fc.nat(2), limit: fc.integer({ min: 1, max: 2 }) }),
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

const completionStep: fc.Arbitrary<CompletionStep> = fc
  .tuple(fc.record(place), fc.oneof(...STEPS))
  .map(([where, step]) => ({ ...where, ...step }) as CompletionStep);

const REGISTER: CompletionStep = {
  group: 0,
  client: 0,
  step: "register",
  spec: 0,
  timeout: 0,
  target: 3,
  same: false,
  restart: "none",
};

/** Random steps, which mostly begin with a group. */
export const completionSteps = (length: fc.ArrayConstraints): fc.Arbitrary<CompletionStep[]> =>
  fc
    .tuple(fc.constantFrom([], [REGISTER], [{ ...REGISTER, timeout: 1 }]), fc.array(completionStep, length))
    .map(([first, then]) => [...first, ...then]);

/** What a step registers. `isExact`: the clock does not jump. */
export function specOf(
  { spec, timeout, target }: Extract<CompletionStep, { step: "register" }>,
  isExact: boolean,
): Spec {
  const hasDeadline = timeout > 0;
  return {
    tasks: TASKS[spec] ?? 0,
    target: (isExact ? [...TARGETS, ...SLOW_TARGETS] : TARGETS)[target],
    timeoutMs: hasDeadline ? (timeout - 0.5) * UNIT_MS : 0,
    ttlMs: (hasDeadline ? 1.6 : 1.3) * UNIT_MS,
    metadata: timeout === 1 ? undefined : { spec },
  };
}
