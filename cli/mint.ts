import type { Capability, CapabilityVerb } from "../src/capability/index.js";
import type { TaskRef } from "../src/index.js";
import type { Settings } from "./settings.js";
import type { Kind } from "./snapshot.js";
import { callWorker, unexpectedAnswer } from "./worker-call.js";

/** The body of a call that mints a capability. */
export interface CapabilityRequest {
  readonly verbs: readonly CapabilityVerb[];
  readonly tasks?: readonly TaskRef[];
  readonly ttlSec?: number;
  readonly generation?: number | "current";
}

interface MintCall {
  readonly kind: Kind;
  readonly id: string;
  readonly request: CapabilityRequest;
}

/**
 * Returns a capability that the Worker has signed. `undefined` when it answers 404: it knows no such group or request, or is
 * of an earlier version.
 *
 * @throws {CoordinationError} the Worker's error; `backend_unavailable` when there is no answer.
 */
export async function mintedByWorker(
  settings: Settings,
  { kind, id, request }: MintCall,
  signal: AbortSignal,
): Promise<Capability | undefined> {
  const path = `/v1/${kind}s/${encodeURIComponent(id)}/capabilities`;
  const answer = await callWorker(settings, { method: "POST", path, body: request }, signal);
  if (answer === undefined) return undefined;
  const { token, expiresAtMs } = answer as Partial<Capability>;
  if (typeof token === "string" && typeof expiresAtMs === "number") return { token, expiresAtMs };
  throw unexpectedAnswer();
}
