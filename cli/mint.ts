import type { Capability, CapabilityVerb } from "../src/capability/index.js";
import { baseUrl } from "../src/http/base-url.js";
import { networkCode } from "../src/http/network-code.js";
import { readAnswer } from "../src/http/read-body.js";
import { CoordinationError, type TaskRef } from "../src/index.js";
import { systemClock } from "../src/lib/clock.js";
import { within } from "../src/runtime/deadline.js";
import type { Settings } from "./settings.js";
import type { Kind } from "./snapshot.js";

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

const TIMEOUT_MS = 30_000;

/**
 * Returns a capability that the Worker has signed. `undefined` when it answers 404: it knows no such group or request, or is
 * of an earlier version.
 *
 * @throws {CoordinationError} the Worker's error; `backend_unavailable` when there is no answer.
 */
export function mintedByWorker(
  { url, token, allowHttp }: Settings,
  { kind, id, request }: MintCall,
  signal: AbortSignal,
): Promise<Capability | undefined> {
  const address = `${baseUrl(url, allowHttp)}/v1/${kind}s/${encodeURIComponent(id)}/capabilities`;
  const limit = { limitMs: TIMEOUT_MS, signal, clock: systemClock };
  return within(
    limit,
    () => noAnswer(" in time"),
    async (ends) => {
      const { response, text } = await post(address, { token, request, signal: ends });
      return response.status === 404 ? undefined : capabilityIn(response, text, token);
    },
  );
}

interface Post {
  readonly token: string;
  readonly request: CapabilityRequest;
  readonly signal: AbortSignal;
}

async function post(address: string, { token, request, signal }: Post): Promise<{ response: Response; text: string }> {
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(request),
      redirect: "manual",
      signal,
    });
    return { response, text: await readAnswer(response, signal, systemClock) };
  } catch (error) {
    throw noAnswer(networkCode(error));
  }
}

async function capabilityIn(response: Response, text: string, token: string): Promise<Capability> {
  const answer: unknown = parsed(text);
  if (!response.ok) {
    // Imported here: a part of the backend's code, which every command loads on demand.
    const { faultOf } = await import("../src/backends/http/answer.js");
    const asked = { applied: "no", token, nowMs: Date.now() } as const;
    throw faultOf(response.status, response.headers.get("retry-after"), Object(answer), asked);
  }
  const { token: minted, expiresAtMs } = Object(answer) as Partial<Capability>;
  if (typeof minted === "string" && typeof expiresAtMs === "number") return { token: minted, expiresAtMs };
  throw new CoordinationError("backend_rejected", "unexpected answer from the Worker: check url");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function noAnswer(why: string): CoordinationError {
  return new CoordinationError("backend_unavailable", `no answer from the Worker${why}`, { retryable: true });
}
