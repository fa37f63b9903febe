import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { SubjectId } from "../place.js";
import type { ApiClient } from "./client.js";
import { serverEvents } from "./events.js";
import { ApiFault } from "./faults.js";

/** How the page receives changes. `ended`: no more come. */
export type Link = "connecting" | "live" | "reconnecting" | "ended";

export interface Follower {
  /** Receives each newer status; null when the Worker does not know the id. */
  onStatus(status: GroupStatus | null): void;
  onLink(link: Link): void;
  /** Receives a fault that a further call would get again. */
  onFault(error: unknown): void;
}

const MAX_PAUSE_MS = 15_000;
/** How soon the delivery of an ended group is looked at again, ever later: the stream ends with the group. */
const DELIVERY_MS = 500;

/** Follows a group or a request to the end of its delivery, or until the signal aborts. Never rejects. */
export async function follow(
  api: ApiClient,
  subject: SubjectId,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  try {
    const isKnown = await followEvents(api, subject, follower, signal);
    if (isKnown) await followDelivery(api, subject, follower, signal);
  } catch (error) {
    if (!signal.aborted) follower.onFault(error);
  }
}

/** Follows the events. Returns whether the group has ended, and not gone. */
async function followEvents(
  api: ApiClient,
  subject: SubjectId,
  follower: Follower,
  signal: AbortSignal,
): Promise<boolean> {
  let after = "";
  let failures = 0;
  while (!signal.aborted) {
    try {
      const { body, status } = await api.events(subject, after, signal);
      // 204: the last event was received.
      if (body === null || status === 204) return true;
      follower.onLink("live");
      for await (const event of serverEvents(body)) {
        if (event.name === "unknown") {
          follower.onStatus(null);
          follower.onLink("ended");
          return false;
        }
        // The event of a request holds what its clients may read: the status has the rest.
        const isWhole = subject.kind === "group";
        follower.onStatus(isWhole ? (JSON.parse(event.data) as GroupStatus) : await api.status(subject, signal));
        // Only now: the stream sends the event again if that read failed.
        after = event.id;
        failures = 0;
        if (event.name !== "progress") return true;
      }
    } catch (error) {
      if (signal.aborted) return false;
      if (!mayPass(error)) throw error;
      failures += 1;
    }
    if (failures > 0) follower.onLink("reconnecting");
    await pause(Math.min(MAX_PAUSE_MS, 250 * 2 ** failures), signal);
  }
  return false;
}

/** Looks at an ended group until its delivery is made or given up. */
async function followDelivery(
  api: ApiClient,
  subject: SubjectId,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = DELIVERY_MS;
  while (!signal.aborted) {
    try {
      const status = await api.status(subject, signal);
      follower.onStatus(status);
      if (status?.delivery.state !== "pending") return follower.onLink("ended");
      follower.onLink("live");
    } catch (error) {
      if (signal.aborted) return;
      if (!mayPass(error)) throw error;
      follower.onLink("reconnecting");
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5);
  }
}

/** Returns whether a further call may succeed: the connection was lost, or the Worker is busy. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ApiFault)) return true;
  return error.status === 0 || error.status >= 500 || error.status === 429;
}

/** Resolves after a time, or when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
