import { answerEvents } from "../../src/hono/event-answer.js";
import { groupEvents } from "../../src/hono/group-events.js";
import { Problem } from "../../src/http/problem.js";
import { checkId } from "../../src/lib/validate.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { readJson, readOptionalJson } from "../body.js";
import { type App, type AppContext, pathSegment, route, traceOf } from "../context.js";
import { eventsOf } from "../events.js";
import { listOptions } from "../list-query.js";
import { preferredWaitSec, waitMsOf } from "../prefer.js";
import {
  acksBody,
  addBody,
  cancelBody,
  childrenQuery,
  decrementBody,
  extendBody,
  generationBody,
  groupBody,
  groupsQuery,
  redeliverBody,
  resultsQuery,
  retryBody,
  tasksQuery,
} from "../schemas/bodies.js";
import { parse, queryOf } from "../schemas/parse.js";
import { checkNamedTargets } from "../targets.js";

/** The routes of `/v1/groups/:id`: completion groups for callers in any language. */
export function groupRoutes(app: App): void {
  route(app, "/v1/groups", { GET: list });
  route(app, "/v1/groups/:id", { PUT: register, GET: status, DELETE: remove });
  route(app, "/v1/groups/:id/acks", { POST: ack });
  route(app, "/v1/groups/:id/tasks", { POST: add, GET: tasks });
  route(app, "/v1/groups/:id/children", { GET: children });
  route(app, "/v1/groups/:id/seal", { POST: seal });
  route(app, "/v1/groups/:id/retry", { POST: retry });
  route(app, "/v1/groups/:id/extend", { POST: extend });
  route(app, "/v1/groups/:id/heartbeat", { POST: heartbeat });
  route(app, "/v1/groups/:id/cancel", { POST: cancel });
  route(app, "/v1/groups/:id/redeliver", { POST: redeliver });
  route(app, "/v1/groups/:id/decrement", { POST: decrement });
  route(app, "/v1/groups/:id/results", { GET: results });
  route(app, "/v1/groups/:id/events", { GET: events });
}

/** One tracker for each request: a Worker forbids requests to share objects that do I/O. */
function trackerOf(c: AppContext): CompletionTracker {
  return new CompletionTracker(c.var.coordinator);
}

function groupIdOf(c: AppContext): string {
  const groupId = pathSegment(c, 3);
  checkId(groupId, "the group's id");
  return groupId;
}

function found<T>(value: T | null): T {
  if (value === null) throw new Problem("not_found", "there is no such group: not registered yet, or expired");
  return value;
}

async function list(c: AppContext): Promise<Response> {
  return c.json(await trackerOf(c).list(listOptions(parse(groupsQuery, queryOf(c), "query"))));
}

async function register(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { total = 0, tasks, indexed, ...options } = parse(groupBody, await readJson(c.req.raw));
  checkNamedTargets(c, options);
  const status = await trackerOf(c).register(groupId, tasks ?? (indexed ? { indexed: total } : total), {
    ...options,
    ...traceOf(c),
  } as unknown as Parameters<CompletionTracker["register"]>[2]);
  // 200 for the first registration too: a caller that resends after a lost reply gets the same answer.
  return c.json(status);
}

async function status(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const waitSec = preferredWaitSec(c.req.header("prefer"));
  if (waitSec === undefined) return c.json(found(await trackerOf(c).status(groupId)));
  c.header("preference-applied", `wait=${waitSec}`);
  return c.json(found(await trackerOf(c).wait(groupId, { timeoutMs: waitMsOf(c, waitSec), signal: c.req.raw.signal })));
}

async function ack(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { tasks, ...options } = parse(acksBody, await readJson(c.req.raw));
  const acked = tasks as Parameters<CompletionTracker["ackAndStatus"]>[1];
  return c.json(await trackerOf(c).ackAndStatus(groupId, acked, { ...options, ...traceOf(c) }));
}

async function cancel(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { reason, ...options } = parse(cancelBody, await readJson(c.req.raw));
  return c.json(found(await trackerOf(c).cancel(groupId, reason, options)));
}

/** A body is optional. */
async function redeliver(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const options = parse(redeliverBody, await readOptionalJson(c.req.raw));
  return c.json(found(await trackerOf(c).redeliver(groupId, options)));
}

async function decrement(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { by, ...options } = parse(decrementBody, await readJson(c.req.raw));
  return c.json({ remaining: found(await trackerOf(c).decrement(groupId, by, { ...options, ...traceOf(c) })) });
}

async function results(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  return c.json(found(await trackerOf(c).results(groupId, parse(resultsQuery, queryOf(c), "query"))));
}

async function tasks(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  return c.json(found(await trackerOf(c).tasks(groupId, parse(tasksQuery, queryOf(c), "query"))));
}

/** The coordinator is asked itself: no tracker lists children. */
async function children(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { after = 0, limit = 100 } = parse(childrenQuery, queryOf(c), "query");
  const options = { signal: c.req.raw.signal };
  const { items, next } = await c.var.coordinator.run("completion.children", groupId, { after, limit }, options);
  const lines = items.map(({ id, stage, machine, groupId: child }) => ({
    taskId: id,
    stage: stage ?? null,
    groupId: machine === "completion" ? child : null,
    requestId: machine === "request" ? child : null,
  }));
  return c.json({ items: lines, next: next ?? null });
}

async function add(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { tasks, ...options } = parse(addBody, await readJson(c.req.raw));
  return c.json(await trackerOf(c).add(groupId, tasks as Parameters<CompletionTracker["add"]>[1], options));
}

/** A body is optional. */
async function seal(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const options = parse(generationBody, await readOptionalJson(c.req.raw));
  return c.json(found(await trackerOf(c).seal(groupId, options)));
}

async function retry(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { tasks, ...options } = parse(retryBody, await readJson(c.req.raw));
  return c.json(await trackerOf(c).retry(groupId, tasks as Parameters<CompletionTracker["retry"]>[1], options));
}

async function extend(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  return c.json(found(await trackerOf(c).extend(groupId, parse(extendBody, await readJson(c.req.raw)))));
}

/** A body is optional. */
async function heartbeat(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const options = parse(generationBody, await readOptionalJson(c.req.raw));
  return c.json(await trackerOf(c).heartbeat(groupId, options));
}

/** A group that does not exist is answered like a removed one: a caller that resends gets the same answer. */
async function remove(c: AppContext): Promise<Response> {
  await trackerOf(c).remove(groupIdOf(c));
  return c.body(null, 204);
}

async function events(c: AppContext): Promise<Response> {
  const source = groupEvents(trackerOf(c), groupIdOf(c));
  return c.var.quotas.stream(c.req.raw.signal, () => answerEvents(c, source, eventsOf(c)));
}
