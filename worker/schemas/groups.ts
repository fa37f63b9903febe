import * as z from "zod/mini";
import { LIST_SIZE, MAX_INDEXED, MAX_TASKS, type Parent } from "../../src/core/group/record.js";
import { MAX_BRIEF_BYTES, MAX_ERROR_BYTES } from "../../src/core/limits.js";
import { handlerOf, isWebhook, TASK_ROUTE } from "../../src/core/outbox/routes.js";
import { parentOf, type StoredTask } from "../../src/delivery/targets/parent-task.js";
import { MAX_URL_BYTES } from "../../src/delivery/targets/webhook.js";
import { newOp } from "../../src/lib/ids.js";
import { MAX_SEC, MAX_VALUE_BYTES } from "../../src/lib/validate.js";
import { MAX_METADATA_BYTES } from "../../src/trackers/group/registration.js";
import { MAX_RESULT_BYTES, MAX_TASKS_A_CALL, MAX_TOTAL } from "../../src/trackers/group/task.js";
import { isStorableJson } from "../json.js";
import {
  byOp,
  count,
  generation,
  id,
  jsonText,
  list,
  MAX_PAGE,
  matching,
  notBoth,
  nothing,
  pageBytes,
  stage,
  text,
  traceparent,
  ttlMs,
  whole,
} from "./fields.js";

/** The largest key of a parent's task: its machine, id, stage and task id. */
const MAX_KEY_BYTES = 1_024;

const target = z.strictObject({ route: text(MAX_URL_BYTES), body: text(MAX_VALUE_BYTES) }).check(
  z.refine(isDeliverable, {
    error: "must be a URL, a named handler with its payload as JSON text, or a task as JSON text",
  }),
);

function isDeliverable({ route, body }: { readonly route: string; readonly body: string }): boolean {
  if (isWebhook(route)) return URL.canParse(body);
  if (route === TASK_ROUTE) return taskOf(body) !== undefined;
  const handler = handlerOf(route);
  return handler !== undefined && z.safeParse(id, handler).success && isStorableJson(body);
}

/** A task of another group or request, as it is stored: a deliverer reads it unchecked. */
const storedTask = z.strictObject({
  machine: z.enum(["completion", "request"]),
  id,
  stage: z.exactOptional(stage),
  taskId: id,
  generation: z.exactOptional(generation),
});

function taskOf(body: string): StoredTask | undefined {
  try {
    return z.parse(storedTask, JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** A parent. Its key is made from its body, whatever the caller sent. */
const parent = z.pipe(
  z.strictObject({ key: z.unknown(), body: text(MAX_VALUE_BYTES), generation: z.exactOptional(generation) }),
  z.transform(({ body }, context): Parent => {
    const task = taskOf(body);
    if (task !== undefined) return parentOf(task);
    context.issues.push({ code: "custom", path: ["body"], message: "must be a task as JSON text", input: body });
    return z.NEVER;
  }),
);

/** A list of up to 64 tasks of one stage, as JSON text. It is stored as a serializer of ours writes it. */
const taskList = z.pipe(
  z.pipe(
    text(MAX_VALUE_BYTES),
    z.transform((value, context): string[] => {
      const ids = jsonOf(value);
      if (Array.isArray(ids) && ids.length >= 2 && ids.length <= LIST_SIZE + 1 && ids.every(isListed)) return ids;
      context.issues.push({
        code: "custom",
        message: "must be a list of a stage and 1 to 64 ids, as JSON text",
        input: value,
      });
      return z.NEVER;
    }),
  ),
  z.transform((ids) => JSON.stringify(ids)),
);

function jsonOf(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Returns whether a text may be part of a list: first the stage, which may be empty, then ids. */
function isListed(value: unknown, i: number): boolean {
  return z.safeParse(i === 0 ? stageOrNone : id, value).success;
}

const stageOrNone = z.union([stage, z.literal("")]);

const child = z.strictObject({
  stage: z.exactOptional(stage),
  id,
  machine: z.enum(["completion", "request"]),
  groupId: id,
});

/** The fields of an announcement of at most so many tasks. */
const announcement = (most: number) => ({
  lists: list(taskList, 0, most).check(
    z.refine((lists: readonly string[]) => countOf(lists) <= most, { error: `must name at most ${most} tasks in all` }),
  ),
  children: z.exactOptional(list(child, 1, most)),
});

/** A tracker names at most one child group for each task. With more, the end of a small group would cancel without bound. */
const oneChildATask = z.refine<{ readonly lists: readonly string[]; readonly children?: readonly object[] }>(
  ({ lists, children = [] }) => children.length <= countOf(lists),
  { path: ["children"], error: "must be at most one for each task" },
);

function countOf(lists: readonly string[]): number {
  return lists.reduce((sum, text) => sum + (JSON.parse(text) as unknown[]).length - 1, 0);
}

const policy = z
  .strictObject({
    minSuccessful: z.exactOptional(whole(1, MAX_TOTAL)),
    toleratedFailureCount: z.exactOptional(whole(0, MAX_TOTAL)),
    toleratedFailurePpm: z.exactOptional(whole(0, 1_000_000)),
  })
  .check(z.refine((limits) => Object.keys(limits).length > 0, { error: "must have a limit" }));

const registration = z
  .strictObject({
    op: id,
    fingerprint: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
    request: z.exactOptional(z.literal(true)),
    grows: z.exactOptional(z.literal(true)),
    kind: z.enum(["named", "counted", "indexed"]),
    total: whole(0, MAX_TOTAL),
    ...announcement(MAX_TASKS),
    timeoutMs: whole(0, MAX_SEC * 1000),
    idleMs: z.exactOptional(ttlMs),
    ttlMs,
    /** Sent by trackers, and ignored: see `register`. */
    deliveryId: z.exactOptional(z.unknown()),
    policy: z.exactOptional(policy),
    targets: z.exactOptional(
      z.strictObject({
        success: z.exactOptional(target),
        failure: z.exactOptional(target),
        complete: z.exactOptional(target),
        timeout: z.exactOptional(target),
        end: z.exactOptional(target),
      }),
    ),
    parent: z.exactOptional(parent),
    metadata: z.exactOptional(jsonText(MAX_METADATA_BYTES)),
    restart: z.exactOptional(
      z.strictObject({ from: z.exactOptional(generation), keep: z.exactOptional(z.literal("succeeded")) }),
    ),
    traceparent: z.exactOptional(traceparent),
  })
  .check(
    oneChildATask,
    z.refine(({ kind, total, lists }) => (kind === "named" ? total === 0 : lists.length === 0), {
      path: ["total"],
      error: "must be 0 with lists; without lists it is the number of tasks",
    }),
    z.refine(({ kind, total }) => kind !== "indexed" || total <= MAX_INDEXED, {
      path: ["total"],
      error: `must be at most ${MAX_INDEXED} where tasks are numbered`,
    }),
    z.refine(({ kind, grows }) => kind === "named" || grows === undefined, {
      path: ["grows"],
      error: "must come with lists",
    }),
  );

/**
 * Sets the delivery id. Receivers drop messages with a known delivery id, whatever their sender. So the Worker creates it,
 * and a caller cannot use another caller's id. When a call is sent several times, the first stored copy's id is used.
 */
const register = z.pipe(
  registration,
  z.transform((input) => ({ ...input, deliveryId: `msg_${newOp()}` })),
);

/** A request is an open group, and has no policy. A shorter TTL would expire between two looks of a waiter. */
const registerRequest = register.check(
  z.refine(({ request, grows, policy }) => request === true && grows === true && policy === undefined, {
    error: "must be an open request without a policy",
  }),
  z.refine(({ ttlMs }) => ttlMs >= 1_000, { path: ["ttlMs"], error: "must be 1000 or more" }),
);
const registerGroup = register.check(
  z.refine(({ request }) => request === undefined, { path: ["request"], error: "must be absent" }),
);

const errorText = {
  error: z.exactOptional(text(MAX_ERROR_BYTES)),
  brief: z.exactOptional(text(MAX_BRIEF_BYTES)),
};
const taskRef = { stage: z.exactOptional(stage), id };

const taskAck = z
  .strictObject({
    ...taskRef,
    result: z.exactOptional(jsonText(MAX_RESULT_BYTES)),
    ...errorText,
    processed: z.exactOptional(count),
  })
  .check(z.refine(notBoth, { error: "must not have both a result and an error" }));

const ofGeneration = { generation: z.exactOptional(generation) };
const byOpOfGeneration = z.strictObject({ op: id, ...ofGeneration });
const page = { after: whole(0, MAX_TOTAL), limit: whole(1, MAX_PAGE), bytes: pageBytes };

/** The steps of groups and of requests. */
const GROUP_STEPS = {
  add: z.strictObject({ op: id, ...announcement(MAX_TASKS_A_CALL), ...ofGeneration }).check(oneChildATask),
  seal: byOpOfGeneration,
  ack: z.strictObject({
    op: id,
    tasks: list(taskAck, 1, MAX_TASKS_A_CALL),
    next: z.exactOptional(z.strictObject(announcement(MAX_TASKS_A_CALL)).check(oneChildATask)),
    ...ofGeneration,
    earlyTtlMs: whole(0, MAX_SEC * 1000),
    view: z.exactOptional(z.boolean()),
    traceparent: z.exactOptional(traceparent),
  }),
  decrement: z.strictObject({
    op: id,
    by: whole(1, MAX_TOTAL),
    ...ofGeneration,
    traceparent: z.exactOptional(traceparent),
  }),
  count: z
    .strictObject({
      op: id,
      stage,
      processed: z.exactOptional(count),
      requeued: z.exactOptional(count),
      ...errorText,
      ...ofGeneration,
    })
    .check(
      z.refine(({ processed, requeued, error }) => (processed ?? requeued ?? error) !== undefined, {
        error: "must have processed, requeued or error",
      }),
    ),
  retry: z.strictObject({ op: id, tasks: list(z.strictObject(taskRef), 1, MAX_TASKS_A_CALL), ...ofGeneration }),
  extend: z.strictObject({ op: id, timeoutMs: ttlMs, ...ofGeneration }),
  heartbeat: z.strictObject(ofGeneration),
  cancel: z.strictObject({
    reason: text(MAX_ERROR_BYTES),
    ...ofGeneration,
    sparesChildren: z.exactOptional(z.boolean()),
  }),
  cancelChild: z.strictObject({ reason: text(MAX_ERROR_BYTES), key: text(MAX_KEY_BYTES), generation, ttlMs }),
  abandon: z.strictObject({ op: id, caller: id, reason: text(MAX_ERROR_BYTES) }),
  remove: byOp,
  status: nothing,
  brief: nothing,
  wait: z.strictObject({
    ...ofGeneration,
    isKnown: z.exactOptional(z.boolean()),
    background: z.exactOptional(z.boolean()),
  }),
  progress: z.strictObject({
    after: matching(/^(\d{1,15}\.\d{1,15})?$/, "the version of a status"),
    isKnown: z.exactOptional(z.boolean()),
  }),
  tasks: z.strictObject({ ...page, ...ofGeneration, state: z.exactOptional(z.enum(["open", "succeeded", "failed"])) }),
  results: z.strictObject({ ...page, ...ofGeneration, order: z.exactOptional(z.enum(["registration", "acks"])) }),
  children: z.strictObject({
    ...page,
    chain: z.exactOptional(whole(1, Number.MAX_SAFE_INTEGER)),
    lists: z.exactOptional(whole(1, MAX_TASKS)),
  }),
  take: z.strictObject({ op: id, generation }),
  redeliver: byOpOfGeneration,
} as const;

type Inputs<M extends string> = {
  readonly [Step in keyof typeof GROUP_STEPS as `${M}.${Step}`]: (typeof GROUP_STEPS)[Step];
};

function inputsOf<M extends "completion" | "request">(machine: M): Inputs<M> {
  const named = Object.entries(GROUP_STEPS).map(([step, schema]) => [`${machine}.${step}`, schema]);
  return Object.fromEntries(named) as Inputs<M>;
}

/** The input schemas of groups and requests. */
export const GROUPS = {
  "completion.register": registerGroup,
  ...inputsOf("completion"),
  "request.register": registerRequest,
  ...inputsOf("request"),
};
