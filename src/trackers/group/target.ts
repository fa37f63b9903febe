import type { Target, Targets } from "../../core/outbox/deliveries.js";
import type { GroupStatus } from "../../delivery/group-status.js";
import type { Payloads } from "../../delivery/handler.js";
import type { ParentTask } from "../../delivery/targets/parent-task.js";
import { storeTarget } from "../../delivery/targets/registry.js";
import { CoordinationError } from "../../errors.js";

/** A durable callback to a named handler. The instance where the group's timer fires looks the handler up. */
export type HandlerTarget<T extends Payloads = Payloads> = {
  [Name in keyof T & string]: undefined extends T[Name]
    ? { readonly handler: Name; readonly payload?: T[Name] }
    : { readonly handler: Name; readonly payload: T[Name] };
}[keyof T & string];

/** A durable callback as a signed webhook, to a host that the sender's `allowedHosts` has. */
export interface UrlTarget {
  readonly url: string;
}

/**
 * Settles a task of another group or request: acks it when this group completed under its policy, or without failures.
 * Otherwise fails it, with this group's id, state and error. Durable; needs no handler. The parent is found by this group's
 * own coordinator.
 *
 * While the parent is not registered, the delivery is retried. It becomes a dead letter at once when the parent is a group
 * without `open` and has no such task. A parent with another generation than the named one is left unchanged.
 */
export interface TaskTarget {
  readonly task: ParentTask;
}

/** Runs once, in an instance that registered it, while that instance lives. Not durable. */
export type LocalTarget = (status: GroupStatus) => void | Promise<void>;

/** The callback for the end of a group. */
export type CompletionTarget<T extends Payloads = Payloads> = HandlerTarget<T> | UrlTarget | TaskTarget | LocalTarget;

/**
 * The callbacks of a registration: all plain functions, or all durable. One of them receives the end:
 *
 * - completed without failures: `onSuccess`, else `onComplete`, else `onEnd`
 * - completed with failures: `onComplete`, else `onEnd`
 * - failed: `onFailure`, else `onEnd`
 * - timed out: `onTimeout`, else `onFailure`, else `onEnd`
 * - cancelled: `onEnd`
 */
export interface CompletionTargets<T extends Payloads = Payloads> {
  readonly onSuccess?: CompletionTarget<T> | undefined;
  readonly onFailure?: CompletionTarget<T> | undefined;
  readonly onComplete?: CompletionTarget<T> | undefined;
  readonly onTimeout?: CompletionTarget<T> | undefined;
  readonly onEnd?: CompletionTarget<T> | undefined;
}

/** The options that name a target, with the fields of the stored targets. */
const FIELDS = {
  onSuccess: "success",
  onFailure: "failure",
  onComplete: "complete",
  onTimeout: "timeout",
  onEnd: "end",
} as const;

type TargetOption = keyof typeof FIELDS;

/** The plain functions among a registration's targets. */
export type LocalTargets = { readonly [Option in TargetOption]?: LocalTarget };

/**
 * Separates the stored targets from the plain functions. `checkUrl` refuses a URL that would never be called.
 *
 * @throws {CoordinationError} `invalid_input` for a target of no kind, and for both kinds in one registration.
 */
export function splitTargets<T extends Payloads>(
  targets: CompletionTargets<T>,
  checkUrl: ((url: string) => void) | undefined,
): { durable: Targets | undefined; local: LocalTargets } {
  const durable: { -readonly [Field in keyof Targets]: Target } = {};
  const local: { -readonly [Option in TargetOption]?: LocalTarget } = {};
  for (const option of Object.keys(FIELDS) as TargetOption[]) {
    const target = targets[option];
    if (target === undefined) continue;
    if (typeof target === "function") local[option] = target;
    else durable[FIELDS[option]] = storeTarget(target, option, checkUrl);
  }
  const isDurable = Object.keys(durable).length > 0;
  if (isDurable && Object.keys(local).length > 0) {
    throw new CoordinationError("invalid_input", "the targets must be all plain functions, or all durable");
  }
  return { durable: isDurable ? durable : undefined, local };
}

/** Returns the plain function that receives the end. */
export function localTargetOf({ state, ok }: GroupStatus, local: LocalTargets): LocalTarget | undefined {
  const { onSuccess, onFailure, onComplete, onTimeout, onEnd } = local;
  if (state === "completed") return (ok ? onSuccess : undefined) ?? onComplete ?? onEnd;
  if (state === "failed") return onFailure ?? onEnd;
  if (state === "timed_out") return onTimeout ?? onFailure ?? onEnd;
  return onEnd;
}
