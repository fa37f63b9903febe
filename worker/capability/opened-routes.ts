import type { CapabilityVerb } from "../../src/capability/capability.js";

/** The routes of a group or a request that a capability opens: the rest of the path, and the verbs that open it. */
const OPENED: readonly (readonly [method: string, rest: string, verbs: readonly CapabilityVerb[]])[] = [
  ["GET", "", ["status"]],
  ["GET", "/tasks", ["status"]],
  ["GET", "/results", ["results"]],
  ["GET", "/events", ["events"]],
  ["POST", "/acks", ["ack", "fail"]],
  ["POST", "/cancel", ["cancel"]],
];
const MACHINES = { groups: "completion", requests: "request" } as const;

/** A route that a capability can open. */
export interface OpenedRoute {
  readonly machine: "completion" | "request";
  /** The id as it is in the path, or `{id}` in a description. */
  readonly encodedId: string;
  /** Each of these verbs opens it. */
  readonly verbs: readonly CapabilityVerb[];
}

/** Returns the route; `undefined` for a route that no capability opens. HEAD is answered like GET. */
export function openedRoute(method: string, path: string): OpenedRoute | undefined {
  const { name, encodedId, rest } = partsOf(path) ?? {};
  const opened = OPENED.find(([each, end]) => each === (method === "HEAD" ? "GET" : method) && end === rest);
  if (opened === undefined || name === undefined || encodedId === undefined) return undefined;
  return { machine: MACHINES[name], encodedId, verbs: opened[2] };
}

/** Returns the methods that capabilities open on a path; none for most paths. */
export function openedMethods(path: string): string[] {
  const { rest } = partsOf(path) ?? {};
  return OPENED.filter(([, end]) => end === rest).map(([method]) => method);
}

interface PathParts {
  readonly name: keyof typeof MACHINES;
  readonly encodedId: string;
  readonly rest: string;
}

function partsOf(path: string): PathParts | undefined {
  const [, name, encodedId = "", rest = ""] = /^\/v1\/(groups|requests)\/([^/]+)(\/[^/]+)?$/.exec(path) ?? [];
  return name === undefined ? undefined : { name: name as keyof typeof MACHINES, encodedId, rest };
}
