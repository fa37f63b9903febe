import { type Callback, callbackForm } from "../../src/capability/callback.js";
import { MAX_TOKEN_LENGTH, openToken } from "../../src/capability/token.js";
import type { Coordinator } from "../../src/coordinator.js";
import { CoordinationError } from "../../src/errors.js";
import { Problem } from "../../src/http/problem.js";
import { newOp } from "../../src/lib/ids.js";
import { validTraceparent } from "../../src/lib/traceparent.js";
import { refuse } from "../../src/trackers/group/refusals.js";
import { type Task, taskAcks } from "../../src/trackers/group/task.js";
import { calledBack } from "../capability/callback-body.js";
import { hasKeys, keyringOf, type TenantKey } from "../capability/keyring.js";
import { type App, type AppContext, route, traceOf } from "../context.js";
import { VariableError } from "../env.js";
import { loggedPath, type WorkerEvent } from "../log.js";
import type { TenantQuotas } from "../quotas/quotas.js";
import { isSuspended, suspendedProblem } from "../suspension.js";

/** The parts of the Worker that the routes call. */
export interface CallbackHost {
  /** Returns the coordinator of a tenant. */
  whole(c: AppContext, keyPrefix: string): Coordinator;
  quotasOf(c: AppContext, keyPrefix: string): TenantQuotas;
  tell(event: WorkerEvent): void;
}

/**
 * `POST /c/:token` settles one task, for services that can hold no token. GET settles nothing: mail scanners and previews
 * follow links.
 */
export function callbackRoutes(app: App, host: CallbackHost): void {
  route(app, "/c/:token", {
    POST: async (c) => {
      // The URL is a secret: no page that it leads to may learn it, and no cache may keep the answer.
      c.header("cache-control", "no-store");
      c.header("referrer-policy", "no-referrer");
      const { callback, keyPrefix } = await callbackOf(c, host);
      await host.quotasOf(c, keyPrefix).request();
      const { effect, result, error } = await calledBack(c.req.raw, callback.effect);
      const coordinator = host.whole(c, keyPrefix);
      if (effect === "heartbeat") return c.json(await heartbeat(coordinator, callback, c.req.raw.signal));
      const settled = { ...callback.task, ...(effect === "failure" ? { error } : { result }) } as Task;
      const { traceparent } = traceOf(c);
      return c.json(await settle(coordinator, callback, { task: settled, traceparent: validTraceparent(traceparent) }));
    },
  });
}

/** @throws {Problem} `gone` for a URL that is forged, malformed or expired; `suspended`. */
async function callbackOf(c: AppContext, { tell }: CallbackHost): Promise<{ callback: Callback; keyPrefix: string }> {
  const text = c.req.path.split("/")[2] ?? "";
  const owner = await ownerOf(c, text, tell);
  const callback = owner && (await openToken(owner.key, callbackForm, { text, nowMs: Date.now() }));
  if (owner !== undefined && callback !== undefined) {
    if (owner.isSuspended) throw suspendedProblem();
    return { callback, keyPrefix: owner.keyPrefix };
  }
  tell({ type: "auth_failed", method: c.req.method, path: loggedPath(c.req.path), reason: "expired" });
  throw new Problem("gone", "this callback URL is unknown or has expired");
}

async function ownerOf(
  { env }: AppContext,
  text: string,
  tell: (event: WorkerEvent) => void,
): Promise<(TenantKey & { readonly isSuspended: boolean }) | undefined> {
  if (!hasKeys(env) || text.length > MAX_TOKEN_LENGTH) return undefined;
  try {
    const owner = (await keyringOf(env)).keyOf("callback", text);
    return owner && { ...owner, isSuspended: isSuspended(env, owner.keyPrefix) };
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error;
    tell({ type: "misconfigured", variable: error instanceof VariableError ? error.variable : undefined, error });
    throw new Problem(
      "misconfigured",
      "this Worker accepts no callback: its log says which variable must be corrected",
    );
  }
}

/** The call's own signal does not end it: a sender that disconnects has sent its result. */
async function settle(
  coordinator: Coordinator,
  { machine, id, generation }: Callback,
  { task, traceparent }: { readonly task: Task; readonly traceparent: string | undefined },
): Promise<{ outcome: string }> {
  const input = { op: newOp(), tasks: taskAcks([task]), earlyTtlMs: 0, generation, traceparent };
  const { results, refused } = await coordinator.run(`${machine}.ack`, id, input);
  refuse(refused);
  const verdict = results[0]?.verdict;
  if (verdict === "accepted" || verdict === "duplicate" || verdict === "early") return { outcome: verdict };
  throw over();
}

async function heartbeat(
  coordinator: Coordinator,
  { machine, id, generation }: Callback,
  signal: AbortSignal,
): Promise<{ outcome: string }> {
  const { alive, state } = await coordinator.run(`${machine}.heartbeat`, id, { generation }, { signal });
  if (alive && state !== "unregistered") return { outcome: "heartbeat" };
  throw over();
}

function over(): Problem {
  return new Problem("gone", "the task can no longer be settled: its group has ended, or was restarted");
}
