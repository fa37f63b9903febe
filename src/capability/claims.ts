import { type Duration, inSeconds } from "../lib/duration.js";
import { checkOptions } from "../lib/known-options.js";
import { checkId, checkInteger, invalid } from "../lib/validate.js";
import { type TaskRef, taskKey } from "../trackers/group/task.js";
import type { Lifetime } from "./token.js";

/** Fields that capabilities and callbacks share. */

/** The record that a token is for. */
export interface RecordId {
  readonly machine: "completion" | "request";
  readonly id: string;
}

/** The group or the request of a token, as callers name it. */
export interface RecordNames {
  readonly groupId?: string | undefined;
  readonly requestId?: string | undefined;
}

/** A task: its id, or its stage and its id. */
export interface TaskKey {
  readonly stage?: string;
  readonly id: string;
}

/** @throws {CoordinationError} `invalid_input` unless there is either a group or a request. */
export function recordOf({ groupId, requestId }: RecordNames): RecordId {
  if ((groupId === undefined) === (requestId === undefined)) throw invalid("either groupId or requestId must be given");
  const [machine, id, field] =
    requestId === undefined
      ? (["completion", groupId, "groupId"] as const)
      : (["request", requestId, "requestId"] as const);
  checkId(id, field);
  return { machine, id };
}

/** Returns a task of the record. @throws {CoordinationError} `invalid_input` for a request's task without a stage. */
export function taskOf(task: TaskRef, { machine }: RecordId, field: string): TaskKey {
  if (typeof task === "object") checkOptions(task, { stage: true, id: true }, field);
  const key = taskKey(task, field);
  if (machine === "request" && key.stage === undefined) throw invalid(`${field}.stage is required for a request`);
  return key;
}

/** Returns the text form of a task: equal for equal tasks only. */
export function taskText({ stage, id }: TaskKey): string {
  return JSON.stringify(stage === undefined ? id : [stage, id]);
}

/** Returns when a token is valid: from now on, for `ttlSec`. */
export function lifetimeOf(
  ttl: Duration | undefined,
  { usualSec, nowMs }: { readonly usualSec: number; readonly nowMs: number },
): Lifetime {
  const ttlSec = inSeconds(ttl, "ttlSec") ?? usualSec;
  checkInteger(ttlSec, "ttlSec", 1, Number.MAX_SAFE_INTEGER);
  checkInteger(Math.floor(nowMs), "nowMs", 0, Number.MAX_SAFE_INTEGER);
  const iat = Math.floor(nowMs / 1000);
  return { iat, exp: iat + ttlSec };
}

/** @throws {CoordinationError} `invalid_input` when a token lives for longer than allowed, or its times are no integers. */
export function checkLifetime({ iat, exp }: Lifetime, maxSec: number, why: string): void {
  checkInteger(iat, "iat", 0, MAX_INSTANT_SEC);
  checkInteger(exp, "exp", iat + 1, MAX_INSTANT_SEC);
  if (exp - iat > maxSec) throw invalid(`ttlSec must be at most ${maxSec} seconds ${why}`);
}

/** The year 9999. */
const MAX_INSTANT_SEC = 253_402_300_799;

export function checkGeneration(generation: unknown): asserts generation is number {
  checkInteger(generation, "generation", 0, Number.MAX_SAFE_INTEGER);
}

// ---- In the payload ----

/** Returns the record as a claim. */
export function recordClaim({ machine, id }: RecordId): object {
  return machine === "request" ? { request: id } : { group: id };
}

export function recordIn({ group, request }: Readonly<Record<string, unknown>>): RecordId {
  return recordOf({ groupId: group as string | undefined, requestId: request as string | undefined });
}

/** Returns a task as a claim: its id, or a list of its stage and its id. */
export function taskClaim({ stage, id }: TaskKey): string | readonly string[] {
  return stage === undefined ? id : [stage, id];
}

export function taskIn(claim: unknown, record: RecordId): TaskKey {
  const [stage, id] = Array.isArray(claim) ? claim : [undefined, claim];
  // A number would be a second text for the same task.
  if (typeof id !== "string") throw invalid("a task must be a string");
  return taskOf(stage === undefined ? id : { stage, id }, record, "task");
}

/** Returns a payload's claims. Their names are not checked: `write` leaves unknown ones out, and so the texts differ. */
export function claimsOf(payload: unknown): Readonly<Record<string, unknown>> {
  if (typeof payload !== "object" || payload === null) throw invalid("the payload must be an object");
  return payload as Readonly<Record<string, unknown>>;
}
