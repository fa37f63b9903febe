import { Problem } from "../../src/http/problem.js";
import { checkId } from "../../src/lib/validate.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { readJson, readOptionalJson } from "../body.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { preferredWaitSec } from "../prefer.js";
import { acksBody, cancelBody, decrementBody, groupBody, pageQuery, redeliverBody } from "../schemas/bodies.js";
import { parse } from "../schemas/parse.js";
import { checkTargets } from "../targets.js";

/** The routes of `/v1/groups/:id`: completion groups for callers in any language. */
export function groupRoutes(app: App): void {
  route(app, "/v1/groups/:id", { PUT: register, GET: status });
  route(app, "/v1/groups/:id/acks", { POST: ack });
  route(app, "/v1/groups/:id/cancel", { POST: cancel });
  route(app, "/v1/groups/:id/redeliver", { POST: redeliver });
  route(app, "/v1/groups/:id/decrement", { POST: decrement });
  route(app, "/v1/groups/:id/results", { GET: results });
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

async function register(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { total = 0, tasks, indexed, ...options } = parse(groupBody, await readJson(c.req.raw));
  const targets = [options.onComplete, options.onTimeout, options.onEnd];
  checkTargets(c, {
    urls: targets.flatMap((target) => target?.url ?? []),
    handlers: targets.flatMap((target) => target?.handler ?? []),
  });
  const status = await trackerOf(c).register(
    groupId,
    tasks ?? (indexed ? { indexed: total } : total),
    options as Parameters<CompletionTracker["register"]>[2],
  );
  // 200 for the first registration too: a caller that resends after a lost reply gets the same answer.
  return c.json(status);
}

async function status(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const waitSec = preferredWaitSec(c.req.header("prefer"));
  if (waitSec === undefined) return c.json(found(await trackerOf(c).status(groupId)));
  c.header("preference-applied", `wait=${waitSec}`);
  return c.json(found(await trackerOf(c).wait(groupId, { timeoutMs: waitSec * 1000, signal: c.req.raw.signal })));
}

async function ack(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { tasks, ...options } = parse(acksBody, await readJson(c.req.raw));
  return c.json(
    await trackerOf(c).ackAndStatus(groupId, tasks as Parameters<CompletionTracker["ackAndStatus"]>[1], options),
  );
}

async function cancel(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { reason, ...options } = parse(cancelBody, await readJson(c.req.raw));
  return c.json(found(await trackerOf(c).cancel(groupId, reason, options)));
}

/** A body is optional. */
async function redeliver(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const options = parse(redeliverBody, (await readOptionalJson(c.req.raw)) ?? {});
  return c.json(found(await trackerOf(c).redeliver(groupId, options)));
}

async function decrement(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const { by, ...options } = parse(decrementBody, await readJson(c.req.raw));
  return c.json({ remaining: found(await trackerOf(c).decrement(groupId, by, options)) });
}

async function results(c: AppContext): Promise<Response> {
  const groupId = groupIdOf(c);
  const query = Object.entries(c.req.query()).map(([name, value]) => [
    name,
    /^\d+$/.test(value) ? Number(value) : value,
  ]);
  const page = parse(pageQuery, Object.fromEntries(query), "query");
  return c.json(found(await trackerOf(c).results(groupId, page)));
}
