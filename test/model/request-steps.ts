import fc from "fast-check";

export const STAGES = ["parse", "embed"] as const;
export type Stage = (typeof STAGES)[number];
export type RequestStep = { readonly request: number; readonly client: number } & (
  | { readonly step: "register" }
  | { readonly step: "seal" }
  | { readonly step: "cancel" }
  | { readonly step: "abandon"; readonly caller: number }
  | { readonly step: "remove" }
  | { readonly step: "look" }
  | { readonly step: "wait" }
  | { readonly step: "progress" }
  | { readonly step: "add"; readonly stage: Stage; readonly taskIds: readonly string[] }
  | {
      readonly step: "done";
      readonly task: StageTask;
      readonly isOpen: boolean;
      readonly processed: number;
      readonly next: readonly StageTask[];
    }
  | { readonly step: "failed"; readonly task: StageTask; readonly isOpen: boolean }
  | {
      readonly step: "count";
      readonly stage: Stage;
      readonly what: "processed" | "requeue" | "error";
      readonly n: number;
    }
  | { readonly step: "copy"; readonly of: number }
  | { readonly step: "advance"; readonly halves: number; readonly justBefore: boolean }
);

export interface StageTask {
  readonly stage: Stage;
  readonly id: string;
}

export type RequestCall = Exclude<RequestStep, { step: "look" | "wait" | "progress" | "copy" | "advance" }>;

const stage = fc.constantFrom<Stage>("parse", "parse", "embed");
const id = fc.constantFrom("a", "a", "b", "c");
const task = fc.record({ stage, id });
const ids = fc.uniqueArray(id, { minLength: 1, maxLength: 2 });

const STEPS: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<object> }[] = [
  {
    weight: 5,
    arbitrary: fc.record({ step: fc.constantFrom("register", "register", "register", "remove") }),
  },
  { weight: 5, arbitrary: fc.record({ step: fc.constant("add"), stage, taskIds: ids }) },
  {
    weight: 7,
    arbitrary: fc.record({
      step: fc.constant("done"),
      task,
      isOpen: fc.boolean(),
      processed: fc.nat(2),
      next: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(task, { maxLength: 2 }) },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("failed"), task, isOpen: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constantFrom("seal", "seal", "look", "progress", "cancel") }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("wait") }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant("abandon"), caller: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("count"),
      stage,
      what: fc.constantFrom("processed", "requeue", "error"),
      n: fc.nat(2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ step: fc.constant("copy"), of: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("advance"),
      halves: fc.constantFrom(1, 1, 2, 3),
      justBefore: fc.boolean(),
    }),
  },
];

const place = { request: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1), client: fc.nat(1) };

const requestStep: fc.Arbitrary<RequestStep> = fc
  .tuple(fc.record(place), fc.oneof(...STEPS))
  .map(([where, step]) => ({ ...where, ...step }) as RequestStep);

const REGISTER: RequestStep = { request: 0, client: 0, step: "register" };
const TASKS: RequestStep = { request: 0, client: 0, step: "add", stage: "parse", taskIds: ["a", "b"] };

/** Random steps, which mostly begin with a request. */
export const requestSteps = (length: fc.ArrayConstraints): fc.Arbitrary<RequestStep[]> =>
  fc
    .tuple(fc.constantFrom([], [REGISTER], [REGISTER, TASKS], [REGISTER, TASKS]), fc.array(requestStep, length))
    .map(([first, then]) => [...first, ...then]);
