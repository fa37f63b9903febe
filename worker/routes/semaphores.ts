import { newOp } from "../../src/lib/ids.js";
import { DEFAULT_LEASE_SEC } from "../../src/trackers/held-lease.js";
import { Semaphore } from "../../src/trackers/semaphore.js";
import { smallId } from "../../src/trackers/small-key.js";
import { type PermitAnswer, type PermitCall, takePermit } from "../../src/trackers/take-permit.js";
import { readJson } from "../body.js";
import { type App, type AppContext, pathSegment, route } from "../context.js";
import { preferredWaitSec } from "../prefer.js";
import { parse } from "../schemas/parse.js";
import { acquireBody, extendPermitBody, releaseBody, semaphoreQuery } from "../schemas/turn-bodies.js";

const DEFAULT_NAMESPACE = "default";

/** The routes of `/v1/semaphores/:key`: permits for callers in any language. */
export function semaphoreRoutes(app: App): void {
  route(app, "/v1/semaphores/:key", { GET: status });
  route(app, "/v1/semaphores/:key/acquire", { POST: acquire });
  route(app, "/v1/semaphores/:key/extend", { POST: extend });
  route(app, "/v1/semaphores/:key/release", { POST: release });
}

const keyOf = (c: AppContext): string => pathSegment(c, 3);

/** Returns a semaphore for the steps that need no number of permits. */
function semaphoreOf(c: AppContext, options: { namespace?: string; leaseSec?: number }): Semaphore {
  return new Semaphore(c.var.coordinator, { permits: 1, ...options });
}

/**
 * A `permitId` of the caller makes the call repeatable. The same permit is returned again, and a place in line is kept
 * between two calls. Without it the Worker makes the id, so that only the answer has it: what the caller does not
 * receive is given back at once.
 */
async function acquire(c: AppContext): Promise<Response> {
  const key = keyOf(c);
  const waitSec = preferredWaitSec(c.req.header("prefer"));
  const {
    permits,
    leaseSec = DEFAULT_LEASE_SEC,
    permitId,
    namespace = DEFAULT_NAMESPACE,
  } = parse(acquireBody, await readJson(c.req.raw));
  if (waitSec !== undefined) c.header("preference-applied", `wait=${waitSec}`);
  const isOwn = permitId !== undefined;
  const call: PermitCall = {
    id: await smallId(namespace, key),
    op: permitId ?? newOp(),
    permits,
    leaseMs: Math.round(leaseSec * 1000),
    waitMs: (waitSec ?? 0) * 1000,
    signal: c.req.raw.signal,
    awaitsAnswers: isOwn,
  };
  const take = () => (isOwn ? takeOwn(c, call) : takeOnce(c, call));
  // Counted before the caller is in line, which its next call would otherwise have to leave.
  return c.json(shown(call, call.waitMs > 0 ? await c.var.quotas.wait(take) : await take()));
}

/** Keeps a permit, and a place when the wait is over. A caller that goes away gives up its place. */
async function takeOwn(c: AppContext, call: PermitCall): Promise<PermitAnswer> {
  const { coordinator } = c.var;
  try {
    return await takePermit(coordinator, call);
  } finally {
    if (call.signal?.aborted === true) afterwards(c, coordinator.run("semaphore.leave", call.id, { op: call.op }));
  }
}

/** Gives back the place, and a permit that the caller did not receive. */
async function takeOnce(c: AppContext, call: PermitCall): Promise<PermitAnswer> {
  const { coordinator } = c.var;
  let answer: PermitAnswer | undefined;
  try {
    answer = await takePermit(coordinator, call);
  } finally {
    const isOver = answer?.outcome === "busy" || (answer?.outcome === "granted" && call.signal?.aborted !== true);
    const given = isOver ? undefined : coordinator.run("semaphore.release", call.id, { op: call.op });
    if (given !== undefined) afterwards(c, given);
  }
  return answer.outcome === "granted" ? answer : { ...answer, outcome: "busy" };
}

/** Does not delay the answer. When it fails, the lease or the place ends by itself. */
function afterwards(c: AppContext, work: Promise<unknown>): void {
  c.executionCtx.waitUntil(work.catch(() => {}));
}

function shown({ op }: PermitCall, { outcome, token, leftMs, retryAfterMs = 0 }: PermitAnswer): object {
  if (outcome === "granted") return { outcome, permitId: op, fencingToken: token, expiresInMs: leftMs };
  return outcome === "busy" ? { outcome, retryAfterMs } : { outcome };
}

async function extend(c: AppContext): Promise<Response> {
  const key = keyOf(c);
  const { permitId, ...options } = parse(extendPermitBody, await readJson(c.req.raw));
  return c.json({ held: await semaphoreOf(c, options).extend(key, permitId) });
}

async function release(c: AppContext): Promise<Response> {
  const key = keyOf(c);
  const { permitId, ...options } = parse(releaseBody, await readJson(c.req.raw));
  return c.json({ released: await semaphoreOf(c, options).release(key, permitId) });
}

async function status(c: AppContext): Promise<Response> {
  const options = parse(semaphoreQuery, c.req.query(), "query");
  return c.json(await semaphoreOf(c, options).status(keyOf(c)));
}
