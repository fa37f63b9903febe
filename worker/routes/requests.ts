import { answerEvents } from "../../src/hono/event-answer.js";
import { publicStatus, requestEvents } from "../../src/hono/request-events.js";
import { Problem } from "../../src/http/problem.js";
import { checkId } from "../../src/lib/validate.js";
import type { RequestStatus } from "../../src/trackers/request/status.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { readJson, readOptionalJson } from "../body.js";
import { type App, type AppContext, pathSegment, route, traceOf } from "../context.js";
import { eventsOf } from "../events.js";
import { listOptions } from "../list-query.js";
import { preferredWaitSec, waitMsOf } from "../prefer.js";
import {
  extendBody,
  redeliverBody,
  requestAckBody,
  requestBody,
  requestCancelBody,
  requestCountBody,
  requestsQuery,
  requestTasksBody,
  resultsQuery,
  tasksQuery,
} from "../schemas/bodies.js";
import { parse, queryOf } from "../schemas/parse.js";
import { checkNamedTargets } from "../targets.js";

/**
 * The routes of `/v1/requests/:id`: requests that wait for their tasks, for callers in any language. Callers name any stage.
 *
 * Where the library returns a verdict, HTTP answers 200 with it: an ack of an expired request is `unknown`, not an error.
 * Where the library returns null, HTTP answers 404.
 */
export function requestRoutes(app: App): void {
  route(app, "/v1/requests", { GET: list });
  route(app, "/v1/requests/:id", { PUT: register, GET: status, DELETE: remove });
  route(app, "/v1/requests/:id/tasks", { POST: add, GET: tasks });
  route(app, "/v1/requests/:id/acks", { POST: ack });
  route(app, "/v1/requests/:id/counts", { POST: count });
  route(app, "/v1/requests/:id/seal", { POST: seal });
  route(app, "/v1/requests/:id/retry", { POST: retry });
  route(app, "/v1/requests/:id/extend", { POST: extend });
  route(app, "/v1/requests/:id/cancel", { POST: cancel });
  route(app, "/v1/requests/:id/redeliver", { POST: redeliver });
  route(app, "/v1/requests/:id/results", { GET: results });
  route(app, "/v1/requests/:id/events", { GET: events });
}

function requestIdOf(c: AppContext): string {
  const requestId = pathSegment(c, 3);
  checkId(requestId, "the request's id");
  return requestId;
}

/** One tracker for each request: a Worker forbids requests to share objects that do I/O. */
function trackerOf(c: AppContext): RequestWaitTracker {
  return new RequestWaitTracker(c.var.coordinator, { stages: "any" });
}

function found<T>(value: T | null): T {
  if (value === null) throw new Problem("not_found", "there is no such request: not registered, or gone");
  return value;
}

/** Returns what browsers read from `requestStatusRoutes`, and what an operator of the request acts on. */
function shown(status: RequestStatus): object {
  const { requestId, sealed, generation, parent, registeredAtMs, deadlineAtMs, endedAtMs, delivery } = status;
  const instants = { registeredAtMs, deadlineAtMs, endedAtMs };
  return { ...publicStatus(requestId, status), sealed, generation, parent, ...instants, delivery };
}

async function list(c: AppContext): Promise<Response> {
  return c.json(await trackerOf(c).list(listOptions(parse(requestsQuery, queryOf(c), "query"))));
}

/** The body is optional: most callers send only the id. */
async function register(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const options = parse(requestBody, await readOptionalJson(c.req.raw));
  checkNamedTargets(c, options);
  const status = await trackerOf(c).register(requestId, { ...options, ...traceOf(c) } as unknown as Parameters<
    RequestWaitTracker["register"]
  >[1]);
  return c.json(shown(status));
}

async function add(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, taskIds } = parse(requestTasksBody, await readJson(c.req.raw));
  const { outcome, added, status } = await trackerOf(c).add(requestId, stage, taskIds);
  return c.json({ outcome, added, state: status?.state ?? "unknown" });
}

async function tasks(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  return c.json(found(await trackerOf(c).tasks(requestId, parse(tasksQuery, queryOf(c), "query"))));
}

async function results(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  return c.json(found(await trackerOf(c).results(requestId, parse(resultsQuery, queryOf(c), "query"))));
}

/** Takes no opId: a task counts once, however many calls ack it. */
async function ack(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, taskId, error, ...done } = parse(requestAckBody, await readJson(c.req.raw));
  const tracker = trackerOf(c);
  const result =
    error === undefined
      ? await tracker.ack(requestId, stage, taskId, { ...done, ...traceOf(c) })
      : await tracker.fail(requestId, stage, taskId, error, traceOf(c));
  return c.json(result);
}

async function count(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, ...counts } = parse(requestCountBody, await readJson(c.req.raw));
  return c.json(await trackerOf(c).count(requestId, stage, counts));
}

/** Does not read a body. */
async function seal(c: AppContext): Promise<Response> {
  return c.json(shown(found(await trackerOf(c).seal(requestIdOf(c)))));
}

async function retry(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { stage, taskIds } = parse(requestTasksBody, await readJson(c.req.raw));
  return c.json(await trackerOf(c).retry(requestId, stage, taskIds));
}

async function extend(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  return c.json(shown(found(await trackerOf(c).extend(requestId, parse(extendBody, await readJson(c.req.raw))))));
}

/** The body is optional. */
async function redeliver(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const options = parse(redeliverBody, await readOptionalJson(c.req.raw));
  return c.json(shown(found(await trackerOf(c).redeliver(requestId, options))));
}

async function cancel(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const { reason } = parse(requestCancelBody, await readJson(c.req.raw));
  return c.json(shown(found(await trackerOf(c).cancel(requestId, reason))));
}

/**
 * A request that does not exist is answered like a removed one. A caller that resends after a lost reply gets the same
 * answer.
 */
async function remove(c: AppContext): Promise<Response> {
  await trackerOf(c).remove(requestIdOf(c));
  return c.body(null, 204);
}

async function status(c: AppContext): Promise<Response> {
  const requestId = requestIdOf(c);
  const waitSec = preferredWaitSec(c.req.header("prefer"));
  if (waitSec === undefined) return c.json(shown(found(await trackerOf(c).status(requestId))));
  c.header("preference-applied", `wait=${waitSec}`);
  const options = { timeoutMs: waitMsOf(c, waitSec), signal: c.req.raw.signal };
  return c.json(shown(found(await trackerOf(c).wait(requestId, options))));
}

async function events(c: AppContext): Promise<Response> {
  const id = requestIdOf(c);
  const tracker = trackerOf(c);
  const source = requestEvents(id, { id, newer: (after, options) => tracker.newer(id, after, options) });
  const eventOf = (status: RequestStatus) => ({ ...source.eventOf(status), data: shown(status) });
  return c.var.quotas.stream(c.req.raw.signal, () => answerEvents(c, { ...source, eventOf }, eventsOf(c)));
}
