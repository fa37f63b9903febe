import type { Target, Targets } from "../core/outbox/deliveries.js";
import type { GroupStatus } from "../delivery/group-status.js";
import type { Payloads } from "../delivery/handler.js";
import { storeTarget } from "../delivery/targets/registry.js";

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
 * Completes a root of a request that waits for the group: marks it done when the group succeeded. Otherwise marks it failed,
 * with the group's error. Durable; needs no handler. The request is read from the group's own coordinator. Register the
 * request first. The mark is dropped when the request is unknown at the group's end. It is also dropped when the request was
 * registered more than a minute after the group.
 */
export interface RequestRootTarget {
  readonly requestRoot: { readonly requestId: string; readonly stage: string; readonly rootId: string };
}

/** Runs once, in an instance that registered it, while that instance lives. Not durable. */
export type LocalTarget = (status: GroupStatus) => void | Promise<void>;

/** The callback for the end of a group. */
export type CompletionTarget<T extends Payloads = Payloads> =
  | HandlerTarget<T>
  | UrlTarget
  | RequestRootTarget
  | LocalTarget;

/** The callbacks of a registration. `onEnd` receives every end without a target of its own. */
export interface CompletionTargets<T extends Payloads = Payloads> {
  readonly onComplete?: CompletionTarget<T> | undefined;
  readonly onTimeout?: CompletionTarget<T> | undefined;
  readonly onEnd?: CompletionTarget<T> | undefined;
}

/** The plain functions among a registration's targets. */
export interface LocalTargets {
  readonly onComplete?: LocalTarget;
  readonly onTimeout?: LocalTarget;
  readonly onEnd?: LocalTarget;
}

const FIELDS = { onComplete: "complete", onTimeout: "timeout", onEnd: "end" } as const;

/** Separates the stored targets from the plain functions. `checkUrl` refuses a URL that would never be called. */
export function splitTargets<T extends Payloads>(
  targets: CompletionTargets<T>,
  checkUrl: ((url: string) => void) | undefined,
): { durable: Targets | undefined; local: LocalTargets } {
  const durable: { complete?: Target; timeout?: Target; end?: Target } = {};
  const local: { -readonly [Field in keyof LocalTargets]: LocalTarget } = {};
  for (const field of ["onComplete", "onTimeout", "onEnd"] as const) {
    const target = targets[field];
    if (target === undefined) continue;
    if (typeof target === "function") local[field] = target;
    else durable[FIELDS[field]] = storeTarget(target, field, checkUrl);
  }
  return { durable: Object.keys(durable).length === 0 ? undefined : durable, local };
}
