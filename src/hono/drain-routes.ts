import { type Context, Hono } from "hono";
import { CoordinationError } from "../errors.js";
import { bearerToken, unauthorized } from "../http/bearer.js";
import type { Problem } from "../http/problem.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { separated } from "../lib/separated.js";
import { timingSafeIndex } from "../lib/timing-safe.js";
import type { Drainable } from "../runtime/backend.js";
import { checkDrain, type DrainReport } from "../runtime/backend.js";
import { drainOf } from "../runtime/drain-loop.js";
import { refusal, withOwnErrors } from "./coordination-errors.js";
import { coordinatorOf } from "./settings.js";

/** Options of `drainRoutes`. */
export interface DrainRoutesOptions {
  /**
   * The coordinator to drain, with the handlers of its groups. A function is called once for each request with a valid secret.
   */
  readonly coordinator: Drainable | ((c: Context) => Drainable);
  /**
   * The bearer token of the caller: 16 to 512 visible ASCII characters. During a rotation, the new and the old one (up to
   * 10), separated by spaces. `undefined` is refused like an empty one: the route is never open.
   */
  readonly secret: string | undefined | ((c: Context) => string | undefined);
  /** How many records one drain wakes at most: 1 to 10,000. Default 100. */
  readonly limit?: number | undefined;
  /**
   * For how long the route begins to wake further records, in milliseconds: 1 to 600,000. Default 10,000. Deliveries that have
   * begun still finish, so leave your handlers enough of the platform's time limit.
   */
  readonly budgetMs?: Duration | undefined;
  /** Runs timers. Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

const REALM = "drain";
const SECRET = /^[!-~]{16,512}$/;
const MAX_SECRETS = 10;

/**
 * Returns a route for schedules (`GET` by Vercel Cron, `POST` by QStash). It drains the coordinator until no record is due or
 * `budgetMs` is over, and answers `{ woken, left, nextDueAtMs }`.
 *
 * Give the coordinator a tracker with the handlers of all its groups. A drain that lacks a handler postpones the delivery,
 * also for other drains. After a day of such drains it is a dead letter.
 *
 * The caller sends `Authorization: Bearer SECRET`. A request without a valid secret calls neither the coordinator nor its
 * storage. Concurrent and repeated calls are harmless. A 5xx goes through the application's error handler, so that it can
 * be logged.
 *
 * @throws {CoordinationError} `misconfigured` when the secret is missing or malformed: at once for a text, at the request
 * (500) for a function. `invalid_input` for an option out of range. A coordinator without `drain` is answered `unsupported`
 * (501).
 * @see https://vercel.com/docs/cron-jobs/manage-cron-jobs#securing-cron-jobs
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { CompletionTracker } from "edge-coordinator";
 * import { drainRoutes } from "edge-coordinator/hono";
 * import { UpstashCoordinator } from "edge-coordinator/upstash";
 *
 * const coordinator = new UpstashCoordinator({ url, token });
 * new CompletionTracker(coordinator, { handlers: { publish: () => {} } });
 * const app = new Hono().route("/api/drain", drainRoutes({ coordinator, secret: process.env.CRON_SECRET }));
 * ```
 */
export function drainRoutes(options: DrainRoutesOptions): Hono {
  const { coordinator, secret, limit = 100, clock = systemClock } = options;
  const budgetMs = inMillis(options.budgetMs, "budgetMs") ?? 10_000;
  checkDrain({ limit, budgetMs });
  if (typeof secret !== "function") liveSecrets(secret);
  const app = new Hono();
  const answer = withOwnErrors(async function drain(c) {
    const secrets = liveSecrets(typeof secret === "function" ? secret(c) : secret);
    const problem = await accessProblem(c, secrets);
    if (problem !== undefined) return refusal(c, problem);
    const report = await drainWithin(coordinatorOf(coordinator, c), limit, budgetMs, clock);
    return c.json({ ...report, nextDueAtMs: report.nextDueAtMs ?? null }, 200, { "cache-control": "no-store" });
  });
  app.on(["GET", "POST"], "/", answer);
  return app;
}

/** Drains again and again, while the last drain woke records and left others. */
async function drainWithin(
  coordinator: Drainable,
  limit: number,
  budgetMs: number,
  clock: Clock,
): Promise<DrainReport> {
  const drain = drainOf(coordinator);
  const untilMs = clock.now() + budgetMs;
  let woken = 0;
  for (let leftMs = budgetMs; ; ) {
    const report = await drain({ limit, budgetMs: Math.ceil(leftMs) });
    woken += report.woken;
    // Read the clock once: the check and the next drain must use the same value.
    leftMs = untilMs - clock.now();
    if (!report.left || report.woken === 0 || leftMs <= 0) return { ...report, woken };
  }
}

/** Returns the secrets that are valid now. The error does not quote them. */
function liveSecrets(text: unknown): readonly string[] {
  if (text === undefined || text === "") {
    throw new CoordinationError("misconfigured", "drainRoutes: secret is not set, such as CRON_SECRET");
  }
  const secrets = typeof text === "string" ? separated(text) : [];
  if (secrets.length > 0 && secrets.length <= MAX_SECRETS && secrets.every((part) => SECRET.test(part))) return secrets;
  const form = "each of 16 to 512 visible ASCII characters";
  throw new CoordinationError("misconfigured", `secret must be 1 to ${MAX_SECRETS} secrets, ${form}`);
}

/**
 * Compares every secret to its last byte. So the time taken does not reveal how much of a secret matched, or which one.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
async function accessProblem(c: Context, secrets: readonly string[]): Promise<Problem | undefined> {
  const presented = bearerToken(c.req.header("authorization"));
  if (presented === undefined) return unauthorized(REALM, "send the secret as `Authorization: Bearer …`");
  return (await timingSafeIndex([presented], secrets)) >= 0
    ? undefined
    : unauthorized(REALM, "this is not the secret", "invalid_token");
}
