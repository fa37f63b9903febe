import type { Duration } from "../lib/duration.js";
import { invalid } from "../lib/validate.js";
import type { TaskRef } from "../trackers/group/task.js";
import {
  checkGeneration,
  checkLifetime,
  claimsOf,
  lifetimeOf,
  type RecordId,
  recordClaim,
  recordIn,
  type TaskKey,
  taskClaim,
  taskIn,
  taskOf,
  taskText,
} from "./claims.js";
import type { ClaimsForm, Lifetime } from "./token.js";

/** A kind of call that a capability allows. */
export type CapabilityVerb = "ack" | "fail" | "status" | "results" | "events" | "cancel";

/** In the order of the claim. */
export const CAPABILITY_VERBS = ["ack", "fail", "status", "results", "events", "cancel"] as const;

/** The claims of a capability. */
export interface Grant extends RecordId, Lifetime {
  readonly verbs: readonly CapabilityVerb[];
  /** The tasks that may be acked or failed. Absent: all. */
  readonly tasks?: readonly TaskKey[];
  readonly generation?: number;
}

/** How long a capability lives, in seconds: by default, and at most. */
const USUAL_CAPABILITY_SEC = 900;
const MAX_CAPABILITY_SEC = 86_400;
const MAX_TASKS = 64;

/** The parts of a grant that are lists, as callers give them. */
interface Lists {
  readonly verbs: readonly CapabilityVerb[];
  readonly tasks?: readonly TaskRef[] | undefined;
}

/** A grant, as callers give it. */
export interface GrantInput extends Lists {
  readonly generation?: number | undefined;
  readonly ttlSec?: Duration | undefined;
}

/** Returns a grant from now on. @throws {CoordinationError} `invalid_input` for a field out of range. */
export function newGrant(record: RecordId, input: GrantInput, nowMs: number): Grant {
  return checkGrant({
    ...record,
    ...grantLists(input, record),
    ...(input.generation === undefined ? {} : { generation: input.generation }),
    ...lifetimeOf(input.ttlSec, { usualSec: USUAL_CAPABILITY_SEC, nowMs }),
  });
}

/** Returns the verbs and tasks of a grant, in the order of the claims. @throws {CoordinationError} `invalid_input`. */
function grantLists(lists: Lists, record: RecordId): Pick<Grant, "verbs" | "tasks"> {
  const { verbs, tasks } = lists;
  const known: readonly unknown[] = CAPABILITY_VERBS;
  if (!Array.isArray(verbs) || verbs.length === 0 || !verbs.every((verb) => known.includes(verb))) {
    throw invalid(`verbs must be one or more of ${CAPABILITY_VERBS.join(", ")}`);
  }
  const ordered = CAPABILITY_VERBS.filter((verb) => verbs.includes(verb));
  if (tasks === undefined) return { verbs: ordered };
  if (!Array.isArray(tasks) || tasks.length === 0 || tasks.length > MAX_TASKS) {
    throw invalid(`tasks must hold 1 to ${MAX_TASKS}`);
  }
  const keys = tasks.map((task, i) => taskOf(task, record, `tasks[${i}]`));
  // A task that is named twice would have a second payload with the same meaning.
  return { verbs: ordered, tasks: [...new Map(keys.map((key) => [taskText(key), key])).values()] };
}

/** @throws {CoordinationError} `invalid_input` for times out of range. */
function checkGrant(grant: Grant): Grant {
  if (grant.generation === undefined) checkLifetime(grant, USUAL_CAPABILITY_SEC, "without a generation");
  else {
    checkGeneration(grant.generation);
    checkLifetime(grant, MAX_CAPABILITY_SEC, "");
  }
  return grant;
}

/** The payload of a capability. */
export const capabilityForm: ClaimsForm<Grant> = {
  kind: "capability",
  read(payload) {
    const { generation, verbs, tasks, iat, exp, ...more } = claimsOf(payload);
    const record = recordIn(more);
    const keys = Array.isArray(tasks) ? tasks.map((claim) => taskIn(claim, record)) : undefined;
    return checkGrant({
      ...record,
      ...grantLists({ verbs: verbs as CapabilityVerb[], tasks: keys }, record),
      ...(generation === undefined ? {} : { generation: generation as number }),
      iat: iat as number,
      exp: exp as number,
    });
  },
  write: ({ generation, verbs, tasks, iat, exp, ...record }) => ({
    ...recordClaim(record),
    ...(generation === undefined ? {} : { generation }),
    verbs,
    ...(tasks === undefined ? {} : { tasks: tasks.map(taskClaim) }),
    iat,
    exp,
  }),
};
