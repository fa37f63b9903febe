import { CoordinationError } from "../errors.js";
import type { Target, Targets } from "../machines/delivery.js";
import { checkId, checkText, toJson } from "../validate.js";
import type { GroupStatus } from "./group-status.js";

/** Handlers' names with the payloads that they take. */
export type Payloads = Record<string, unknown>;

/** A durable callback to a named handler, looked up where the group's timer rings. */
export type HandlerTarget<T extends Payloads> = {
  [Name in keyof T & string]: undefined extends T[Name]
    ? { readonly handler: Name; readonly payload?: T[Name] }
    : { readonly handler: Name; readonly payload: T[Name] };
}[keyof T & string];

/** A durable callback as a signed webhook, to a host that the deliverer allows. */
export interface UrlTarget {
  readonly url: string;
}

/** Runs once, in an instance that registered it, while that instance lives. Not durable. */
export type LocalTarget = (status: GroupStatus) => void | Promise<void>;

/** Where the end of a group is told. */
export type CompletionTarget<T extends Payloads> = HandlerTarget<T> | UrlTarget | LocalTarget;

/** The callbacks of a registration; `onEnd` takes every end that has no target of its own. */
export interface CompletionTargets<T extends Payloads> {
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
  if (target !== null && typeof target === "object") {
    if ("handler" in target && !("url" in target)) {
      checkId(target.handler, `${field}.handler`);
      const payload = "payload" in target && target.payload !== undefined ? target.payload : null;
      return { route: `handler:${target.handler}`, body: toJson(payload, `${field}.payload`) };
    }
    if ("url" in target && !("handler" in target)) {
      checkText(target.url, `${field}.url`, 2_048);
      if (!URL.canParse(target.url))
        throw new CoordinationError("invalid_input", `${field}.url must be an absolute URL`);
      checkUrl?.(target.url);
      return { route: "url", body: target.url };
    }
  }
  throw new CoordinationError("invalid_input", `${field} must be a function, { handler, payload } or { url }`);
}
