import { REQUEST_ROUTE, type Target, type Targets } from "../core/outbox/deliveries.js";
import { CoordinationError } from "../errors.js";
import { checkId, checkText, toJson } from "../lib/validate.js";
import type { GroupStatus } from "./group-status.js";

/** Handlers' names with the payloads that they take. */
export type Payloads = Record<string, unknown>;

/** A durable callback to a named handler, looked up where the group's timer rings. */
export type HandlerTarget<T extends Payloads = Payloads> = {
  [Name in keyof T & string]: undefined extends T[Name]
    ? { readonly handler: Name; readonly payload?: T[Name] }
    : { readonly handler: Name; readonly payload: T[Name] };
}[keyof T & string];

/** A durable callback as a signed webhook, to a host that the deliverer allows. */
export interface UrlTarget {
  readonly url: string;
}

/**
 * Lets a request go that waits for the group: marks its root done when the group succeeded, and failed otherwise, with
 * what went wrong. Durable; needs no handler. The request is found by the group's own coordinator. Register it first: one
 * that is unknown when the group ends, or was registered more than a minute after the group, is taken for gone.
 */
export interface RequestRootTarget {
  readonly requestRoot: { readonly requestId: string; readonly stage: string; readonly rootId: string };
}

/** Runs once, in an instance that registered it, while that instance lives. Not durable. */
export type LocalTarget = (status: GroupStatus) => void | Promise<void>;

/** Where the end of a group is told. */
export type CompletionTarget<T extends Payloads = Payloads> =
  | HandlerTarget<T>
  | UrlTarget
  | RequestRootTarget
  | LocalTarget;

/** The callbacks of a registration; `onEnd` takes every end that has no target of its own. */
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

/** What a stage's name may measure, in bytes of UTF-8. */
export const MAX_STAGE_BYTES = 64;

const FIELDS = { onComplete: "complete", onTimeout: "timeout", onEnd: "end" } as const;

/** Takes targets apart: what is stored, and what lives here. `checkUrl` refuses a URL that would never be sent to. */
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
    else durable[FIELDS[field]] = durableTarget(target, field, checkUrl);
  }
  return { durable: Object.keys(durable).length === 0 ? undefined : durable, local };
}

function durableTarget(target: object, field: string, checkUrl: ((url: string) => void) | undefined): Target {
  const kinds = ["handler", "url", "requestRoot"].filter((kind) => Object.hasOwn(Object(target), kind));
  if (kinds.length === 1) {
    if (kinds[0] === "handler") return handlerTarget(target as { handler: unknown; payload?: unknown }, field);
    if (kinds[0] === "url") return urlTarget(target as { url: unknown }, field, checkUrl);
    return requestRootTarget(Object(target).requestRoot, `${field}.requestRoot`);
  }
  const forms = "a function, { handler, payload }, { url } or { requestRoot }";
  throw new CoordinationError("invalid_input", `${field} must be ${forms}`);
}

function handlerTarget({ handler, payload = null }: { handler: unknown; payload?: unknown }, field: string): Target {
  checkId(handler, `${field}.handler`);
  return { route: `handler:${handler}`, body: toJson(payload, `${field}.payload`) };
}

function urlTarget({ url }: { url: unknown }, field: string, check: ((url: string) => void) | undefined): Target {
  checkText(url, `${field}.url`, 2_048);
  if (!URL.canParse(url)) throw new CoordinationError("invalid_input", `${field}.url must be an absolute URL`);
  check?.(url);
  return { route: "url", body: url };
}

function requestRootTarget(root: unknown, field: string): Target {
  const { requestId, stage, rootId } = Object(root) as { requestId: unknown; stage: unknown; rootId: unknown };
  checkId(requestId, `${field}.requestId`);
  checkId(stage, `${field}.stage`);
  checkText(stage, `${field}.stage`, MAX_STAGE_BYTES);
  checkId(rootId, `${field}.rootId`);
  return { route: REQUEST_ROUTE, body: JSON.stringify({ requestId, stage, rootId }) };
}
