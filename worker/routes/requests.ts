import type { RequestView } from "../../src/core/request/record.js";
import { Problem } from "../../src/http/problem.js";
import { newOp } from "../../src/lib/ids.js";
import { checkId, checkTtlSec } from "../../src/lib/validate.js";
import { endOrLook } from "../../src/trackers/end-or-look.js";
import { requestResult } from "../../src/trackers/request-result.js";
import { queueStatus } from "../../src/trackers/request-status.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { readJson, readOptionalJson } from "../body.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { preferredWaitSec } from "../prefer.js";
import { markBody, requestBody, rootsBody, stagesOf } from "../schemas/bodies.js";
import { parse } from "../schemas/parse.js";

/**
 * The routes of `/v1/requests/:id`: requests that wait for their roots, for callers in any language. Callers name any stage.
 *
 * Where the library returns a verdict, HTTP answers 200 with it: a mark of an expired request is `unknown`, not an error.
 * Where the library returns null, HTTP answers 404.
 */
export function requestRoutes(app: App): void {
  route(app, "/v1/requests/:id", { PUT: register, GET: status, DELETE: cleanup });
  route(app, "/v1/requests/:id/roots", { POST: addRoots });
  route(app, "/v1/requests/:id/marks", { POST: mark });
  route(app, "/v1/requests/:id/seal", { POST: seal });
}

function requestIdOf(c: AppContext): string {
  const requestId = pathSegment(c, 3);
  checkId(requestId, "the request's id");
  return requestId;
}

/** Makes a tracker for one call. It accepts the stages that the call names. */
function trackerOf(c: AppContext, stages: readonly string[]): RequestWaitTracker {
  return new RequestWaitTracker(c.var.coordinator, { stages });
}

/** The body is optional: most callers send only the id. */
async function register(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const body = await readOptionalJson(c.req.raw);
  const { ttlSec = c.var.coordinator.defaultTtlSec } = body === undefined ? {} : parse(requestBody, body);
  const ttlMs = checkTtlSec(ttlSec, "ttlSec");
  return c.json(requestResult(await c.var.coordinator.run("request.register", requestId, { op: newOp(), ttlMs })));
}

async function addRoots(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, roots } = parse(rootsBody, await readJson(c.req.raw));
  return c.json(await trackerOf(c, [stage]).registerRoot(requestId, stage, roots));
}

/** Takes no opId: a root is marked once, however many calls mark it. */
async function mark(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, rootId, processed = 1, next = [], error } = parse(markBody, await readJson(c.req.raw));
  const tracker = trackerOf(c, stagesOf(stage, next));
  const result =
    error === undefined
      ? await tracker.markDone(requestId, stage, rootId, { processed, next })
      : await tracker.markFailed(requestId, stage, rootId, error);
  return c.json(result);
}

/** Does not read a body. */
async function seal(c: AppContext): Promise<Response> {
  return c.json(requestResult(await c.var.coordinator.run("request.seal", requestIdOf(c), { op: newOp() })));
}

/**
 * A request that does not exist is answered like a removed one. A caller that resends after a lost reply gets the same
 * answer.
 */
async function cleanup(c: AppContext): Promise<Response> {
  await c.var.coordinator.run("request.cleanup", requestIdOf(c), { op: newOp() });
  return c.body(null, 204);
}

async function status(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const waitSec = preferredWaitSec(c.req.header("prefer"));
  if (waitSec !== undefined) c.header("preference-applied", `wait=${waitSec}`);
  const view = waitSec === undefined ? await look(c, requestId) : await endOrStatus(c, requestId, waitSec);
  if (view === undefined) throw new Problem("not_found", "there is no such request: not registered, or gone");
  return c.json({ id: requestId, state: stateOf(view), queueStatus: queueStatus([], view) });
}

async function look(c: AppContext, requestId: string): Promise<RequestView | undefined> {
  return (await c.var.coordinator.run("request.status", requestId, {})).view;
}

/** Returns the request once it is complete, or its current state when the wait is over; an unknown one at once. */
async function endOrStatus(c: AppContext, requestId: string, waitSec: number): Promise<RequestView | undefined> {
  const { coordinator } = c.var;
  const { view } = await endOrLook<{ view?: RequestView }>(
    { timeoutMs: waitSec * 1000, signal: c.req.raw.signal },
    {
      watch: (options) => coordinator.watch("request.wait", requestId, {}, options),
      look: (signal) => coordinator.run("request.status", requestId, {}, { signal }),
    },
  );
  return view;
}

function stateOf({ complete }: { readonly complete: boolean }): "complete" | "pending" {
  return complete ? "complete" : "pending";
}
