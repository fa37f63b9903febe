import * as z from "zod/mini";
import { MAX_INDEXED, MAX_TASKS } from "../../src/core/group/record.js";
import { MAX_STAGES } from "../../src/core/group/stages.js";
import { MAX_URL_BYTES } from "../../src/delivery/targets/webhook.js";
import { MAX_SEC } from "../../src/lib/validate.js";
import { MAX_TASKS_A_CALL, MAX_TOTAL } from "../../src/trackers/group/task.js";
import { accepting, described } from "./described.js";
import {
  count,
  generation,
  id,
  list,
  MAX_PAGE,
  matching,
  notBoth,
  parentTask,
  seconds,
  stage,
  taskId,
  text,
  ttlSeconds,
  whole,
} from "./fields.js";

/** The most lines of a page of groups or requests, the last list of an index, and the longest position. */
const MAX_LISTED = 100;
const MAX_LIST = 19;
const MAX_AFTER_BYTES = 300;

// ---- Transitions ----

/** The most operations of one batch. */
const MAX_OPERATIONS = 100;

/** The body of `/v1/run`. */
export const runBody = z.strictObject({ id, input: z.unknown() });

/** The body of `/v1/batch`. Operations are checked one by one: an invalid operation fails alone. */
export const batchBody = z.strictObject({ operations: list(z.unknown(), 1, MAX_OPERATIONS) });

/** One operation of a batch. */
export const operationBody = z.extend(runBody, { transition: z.string() });

/** The body of `/v1/watch`. */
export const watchBody = z.strictObject({ id, input: z.unknown(), timeoutMs: z.exactOptional(whole(0, 25_000)) });

// ---- Groups ----

export const groupTarget = z
  .strictObject({
    url: z.exactOptional(text(MAX_URL_BYTES)),
    handler: z.exactOptional(id),
    payload: z.exactOptional(z.unknown()),
    task: z.exactOptional(parentTask),
  })
  .check(z.refine(isOneTarget, { error: "must be { url }, { handler, payload } or { task }" }));

function isOneTarget({ url, handler, payload, task }: Readonly<Record<string, unknown>>): boolean {
  const kinds = [url, handler, task].filter((kind) => kind !== undefined);
  return kinds.length === 1 && (payload === undefined || handler !== undefined);
}

/** The fields of a registration that name a target. */
export const TARGET_FIELDS = ["onSuccess", "onFailure", "onComplete", "onTimeout", "onEnd"] as const;

const targets = {
  onSuccess: z.exactOptional(groupTarget),
  onFailure: z.exactOptional(groupTarget),
  onComplete: z.exactOptional(groupTarget),
  onTimeout: z.exactOptional(groupTarget),
  onEnd: z.exactOptional(groupTarget),
};

/** A reference to a task: its id, or its stage and its id. */
export const taskRef = asObject(z.strictObject({ stage: z.exactOptional(stage), id: taskId }));

/** A task that is announced. */
export const addedTask = asObject(
  z.strictObject({
    stage: z.exactOptional(stage),
    id: taskId,
    group: z.exactOptional(z.union([id, z.strictObject({ requestId: id })])),
  }),
);

/** A task may be its id alone. */
function asObject<Output>(schema: z.ZodMiniType<Output>): z.ZodMiniType<Output> {
  const inObject = z.transform((value: unknown) => (typeof value === "object" ? value : { id: value }));
  return accepting(z.pipe(inObject, schema as z.ZodMiniType<Output, object | null>), taskId, schema);
}

const registration = {
  metadata: z.exactOptional(z.unknown()),
  timeoutSec: z.exactOptional(seconds(0)),
  parent: z.exactOptional(parentTask),
};

/** The body of `PUT /v1/groups/:id`. */
export const groupBody = z
  .strictObject({
    total: z.exactOptional(whole(0, MAX_TOTAL)),
    tasks: z.exactOptional(list(addedTask, 0, MAX_TASKS)),
    indexed: z.exactOptional(z.boolean()),
    open: z.exactOptional(z.boolean()),
    complete: z.exactOptional(
      z.strictObject({
        minSuccessful: z.exactOptional(whole(1, MAX_TOTAL)),
        toleratedFailureCount: z.exactOptional(whole(0, MAX_TOTAL)),
        toleratedFailurePercentage: z.exactOptional(
          described(z.number().check(z.refine((value) => value >= 0 && value <= 100, { error: "must be 0 to 100" })), {
            minimum: 0,
            maximum: 100,
          }),
        ),
      }),
    ),
    ...targets,
    ...registration,
    idleTimeoutSec: z.exactOptional(ttlSeconds),
    ttlSec: z.exactOptional(ttlSeconds),
    restart: z.exactOptional(
      z.union([z.literal(true), z.strictObject({ from: generation, keep: z.exactOptional(z.literal("succeeded")) })], {
        error: 'must be true or { from: generation, keep?: "succeeded" }',
      }),
    ),
  })
  .check(
    z.refine(({ total, tasks }) => (total === undefined) !== (tasks === undefined), {
      error: "must have total or tasks, and not both",
    }),
    z.refine(({ total, indexed }) => indexed !== true || (total !== undefined && total <= MAX_INDEXED), {
      path: ["indexed"],
      error: `must come with a total of at most ${MAX_INDEXED}`,
    }),
  );

/** A task that is acked. */
export const task = asObject(
  z
    .strictObject({
      stage: z.exactOptional(stage),
      id: taskId,
      result: z.exactOptional(z.unknown()),
      error: z.exactOptional(z.string()),
    })
    .check(z.refine(notBoth, { error: "must not have both a result and an error" })),
);

/** The body of `POST /v1/groups/:id/acks`. */
export const acksBody = z.strictObject({
  tasks: list(task, 1, MAX_TASKS_A_CALL),
  next: z.exactOptional(list(addedTask, 0, MAX_TASKS_A_CALL)),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/tasks`. */
export const addBody = z.strictObject({
  tasks: list(addedTask, 1, MAX_TASKS_A_CALL),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/retry`. */
export const retryBody = z.strictObject({
  tasks: list(taskRef, 1, MAX_TASKS_A_CALL),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/extend`, and of a request. */
export const extendBody = z.strictObject({ timeoutSec: ttlSeconds, generation: z.exactOptional(generation) });

/** The body of `POST /v1/groups/:id/seal` and `/heartbeat`, which is optional. */
export const generationBody = z.strictObject({ generation: z.exactOptional(generation) });

/** The body of `POST /v1/groups/:id/cancel`. */
export const cancelBody = z.strictObject({
  reason: z.string(),
  cascade: z.exactOptional(z.boolean()),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/decrement`. */
export const decrementBody = z.strictObject({
  by: z.exactOptional(whole(1, MAX_TOTAL)),
  opId: z.exactOptional(id),
  generation: z.exactOptional(generation),
});

/** The body of `POST /v1/groups/:id/redeliver`, and of a request, which is optional. */
export const redeliverBody = z.strictObject({ generation: z.exactOptional(generation) });

const page = {
  after: z.exactOptional(whole(0, MAX_TOTAL)),
  limit: z.exactOptional(whole(1, MAX_PAGE)),
};

/** The query of `GET /v1/groups/:id/results`, and of a request. */
export const resultsQuery = z.strictObject({ ...page, order: z.exactOptional(z.enum(["acks", "registration"])) });

/** The query of `GET /v1/groups/:id/children`. */
export const childrenQuery = z.strictObject(page);

/** The query of `GET /v1/groups/:id/tasks`, and of a request. */
export const tasksQuery = z.strictObject({ ...page, state: z.exactOptional(z.enum(["open", "succeeded", "failed"])) });

const listPage = {
  delivery: z.exactOptional(z.enum(["pending", "unhandled", "dead"])),
  olderThan: z.exactOptional(z.union([seconds(0), matching(/^\d+(\.\d+)?(ms|s|m|h|d)$/, "seconds, or such as 10m")])),
  after: z.exactOptional(z.union([text(MAX_AFTER_BYTES), z.number()])),
  limit: z.exactOptional(whole(1, MAX_LISTED)),
};

/** The query of `GET /v1/groups`. */
export const groupsQuery = z.strictObject({
  ...listPage,
  state: z.exactOptional(z.enum(["open", "stuck", "ended", "completed", "failed", "timed_out", "cancelled"])),
});

/** The query of `GET /v1/requests`. */
export const requestsQuery = z.strictObject({
  ...listPage,
  state: z.exactOptional(z.enum(["open", "stuck", "ended", "timed_out", "cancelled"])),
});

/** The body of `/v1/list`: a `ListQuery` without its machine. */
export const listBody = z.strictObject({
  lists: list(whole(0, MAX_LIST), 1, MAX_LIST + 1),
  order: z.enum(["oldest", "newest"]),
  olderThanMs: whole(0, MAX_SEC * 1000),
  after: z.exactOptional(z.strictObject({ atMs: whole(0, Number.MAX_SAFE_INTEGER), id })),
  limit: whole(1, MAX_LISTED),
});

// ---- Requests ----

/** The body of `PUT /v1/requests/:id`, which is optional. */
export const requestBody = z.strictObject({
  ttlSec: z.exactOptional(seconds(1)),
  ...registration,
  onSuccess: targets.onSuccess,
  onComplete: targets.onComplete,
  onTimeout: targets.onTimeout,
  onEnd: targets.onEnd,
});

const taskIds = list(taskId, 1, MAX_TASKS_A_CALL);

/** The body of `POST /v1/requests/:id/tasks` and `/retry`: tasks of one stage. */
export const requestTasksBody = z.strictObject({ stage, taskIds });

/** The body of `POST /v1/requests/:id/acks`: one task, done or failed. */
export const requestAckBody = z
  .strictObject({
    stage,
    taskId,
    processed: z.exactOptional(count),
    result: z.exactOptional(z.unknown()),
    next: z.exactOptional(list(z.strictObject({ stage, taskIds }), 0, MAX_STAGES)),
    error: z.exactOptional(z.string()),
  })
  .check(
    z.refine(
      ({ processed, result, next, error }) =>
        error === undefined || (processed === undefined && result === undefined && next === undefined),
      { error: "must not have an error together with processed, result or next" },
    ),
    z.refine(({ stage, next = [] }) => stagesOf(stage, next).length <= MAX_STAGES, {
      path: ["next"],
      error: `must name at most ${MAX_STAGES} stages, with the task's own`,
    }),
  );

/** The body of `POST /v1/requests/:id/counts`. */
export const requestCountBody = z
  .strictObject({
    stage,
    processed: z.exactOptional(count),
    requeued: z.exactOptional(count),
    error: z.exactOptional(z.string()),
  })
  .check(
    z.refine(({ processed, requeued, error }) => (processed ?? requeued ?? error) !== undefined, {
      error: "must have processed, requeued or error",
    }),
  );

/** The body of `POST /v1/requests/:id/cancel`. */
export const requestCancelBody = z.strictObject({ reason: z.string() });

/** Returns the stages that an ack names, each once. */
export function stagesOf(stage: string, next: readonly { readonly stage: string }[]): string[] {
  return [...new Set([stage, ...next.map((tasks) => tasks.stage)])];
}
