import { CoordinationError } from "../errors.js";
import type { Duration } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import type { TaskRef } from "../trackers/group/task.js";
import { type CapabilityVerb, capabilityForm, type Grant, newGrant } from "./capability.js";
import { recordOf } from "./claims.js";
import { importKeys } from "./signing-key.js";
import { openToken, signToken } from "./token.js";

export type { TaskRef } from "../trackers/group/task.js";
export type { CapabilityVerb } from "./capability.js";

/** The record, the calls and the lifetime of a capability. */
export interface CapabilityInput {
  /**
   * The keys of the Worker's tenant: `capk_…`, several separated by spaces while they rotate. The first one signs. They are
   * secrets of servers: never hand them to a browser.
   */
  readonly keys: string | readonly string[];
  /** Either a group or a request. */
  readonly groupId?: string | undefined;
  readonly requestId?: string | undefined;
  /** One or more of `ack`, `fail`, `status`, `results`, `events`, `cancel`. */
  readonly verbs: readonly CapabilityVerb[];
  /** The tasks that `ack` and `fail` are for, 1 to 64. The other verbs are for the whole group. @default all tasks */
  readonly tasks?: readonly TaskRef[] | undefined;
  /** Only this registration of the id. A restart then ends the capability. @default any registration */
  readonly generation?: number | undefined;
  /**
   * How long it is valid, in seconds: at most 900, and 86,400 with a `generation`.
   *
   * @default 900
   */
  readonly ttlSec?: Duration | undefined;
  /** The current time, in milliseconds since 1970. @default Date.now() */
  readonly nowMs?: number | undefined;
}

/** A capability token. */
export interface Capability {
  /** Send it as `Authorization: Bearer …`. Never put it into a URL. */
  readonly token: string;
  /** When it stops to be valid, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

const INPUT: Names<CapabilityInput> = {
  keys: true,
  groupId: true,
  requestId: true,
  verbs: true,
  tasks: true,
  generation: true,
  ttlSec: true,
  nowMs: true,
};

/**
 * Returns a token that allows a few calls about one group or one request of the deployed Worker, for browsers and untrusted
 * workers. It touches no storage.
 *
 * Its bearer can read the ids in it. Does not allow to register, add, retry, extend, batch or list, nor `next` of an ack.
 *
 * @throws {CoordinationError} `invalid_input` for a field out of range, or for a token of more than 4,096 characters;
 * `misconfigured` for a missing or malformed key.
 * @see https://www.rfc-editor.org/rfc/rfc7519
 * @example
 * ```ts
 * import { mintCapability } from "edge-coordinator/capability";
 *
 * const { token, expiresAtMs } = await mintCapability({
 *   keys: process.env.COORDINATOR_CAPABILITY_KEY ?? "",
 *   groupId: "document-1",
 *   verbs: ["ack", "fail"],
 *   tasks: ["chunk-1"],
 * });
 * console.log(token.length > 0, expiresAtMs);
 * ```
 */
export async function mintCapability(input: CapabilityInput): Promise<Capability> {
  checkOptions(input ?? null, INPUT, "the capability");
  const { nowMs = Date.now() } = input;
  const [key] = await importKeys(input.keys, "keys");
  if (key === undefined) throw new CoordinationError("misconfigured", "keys must hold 1 to 10 keys");
  const grant = newGrant(recordOf(input), input, nowMs);
  return { token: await signToken(key, capabilityForm, grant), expiresAtMs: grant.exp * 1000 };
}

/** A presented token, and the keys that may have signed it. */
export interface VerifyCapabilityInput {
  /** As for `mintCapability`. */
  readonly keys: string | readonly string[];
  readonly token: string;
  /** The current time, in milliseconds since 1970. @default Date.now() */
  readonly nowMs?: number | undefined;
}

/** The content of a valid capability. */
export interface CapabilityGrant {
  /** `undefined` for a request's capability. */
  readonly groupId: string | undefined;
  /** `undefined` for a group's capability. */
  readonly requestId: string | undefined;
  readonly verbs: readonly CapabilityVerb[];
  /** `undefined`: all tasks. */
  readonly tasks: readonly { readonly stage?: string; readonly id: string }[] | undefined;
  /** `undefined`: any registration. */
  readonly generation: number | undefined;
  readonly expiresAtMs: number;
}

const VERIFY_INPUT: Names<VerifyCapabilityInput> = { keys: true, token: true, nowMs: true };

/**
 * Returns what a capability allows, for routes of your own. The deployed Worker verifies by itself.
 *
 * The signing machine's clock may be up to 60 s ahead. Does not check the group: a `generation` may have ended.
 *
 * @throws {CoordinationError} `unauthorized` for a token that is malformed, forged or expired; `misconfigured` for a missing or
 * malformed key.
 */
export async function verifyCapability(input: VerifyCapabilityInput): Promise<CapabilityGrant> {
  checkOptions(input ?? null, VERIFY_INPUT, "the input");
  const { keys, token, nowMs = Date.now() } = input;
  for (const key of await importKeys(keys, "keys")) {
    const grant = await openToken(key, capabilityForm, { text: String(token), nowMs });
    if (grant !== undefined) return shown(grant);
  }
  throw new CoordinationError("unauthorized", "the capability is malformed, forged or expired");
}

function shown({ machine, id, verbs, tasks, generation, exp }: Grant): CapabilityGrant {
  return {
    groupId: machine === "completion" ? id : undefined,
    requestId: machine === "request" ? id : undefined,
    verbs,
    tasks,
    generation,
    expiresAtMs: exp * 1000,
  };
}
