import { type Context, Hono } from "hono";
import type { Coordinator } from "../coordinator.js";
import type { GroupStatus } from "../delivery/group-status.js";
import { CoordinationError } from "../errors.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { CompletionTracker } from "../trackers/completion.js";
import { RETRY_AFTER_SEC } from "./answer.js";
import { withOwnErrors } from "./coordination-errors.js";
import { answered } from "./end-in-time.js";
import { answerEvents, LATE_LOOK_MS, LOOK_MS, NO_STORE, notFound } from "./event-answer.js";
import { groupEvents } from "./group-events.js";
import { coordinatorOf, MAX_STREAM_MS, MAX_WAIT_MS, MIN_STREAM_MS } from "./settings.js";
import { wishOf } from "./wish.js";

/** Options of `groupRoutes`. */
export interface GroupRoutesOptions {
  /** The coordinator of the groups. A function is called once for each request, as Workers need it. */
  readonly coordinator: Coordinator | ((c: Context) => Coordinator);
  /**
   * Which groups a client may read. A function gets the id of the path and returns the group's id, or null for a group that
   * is not the client's: the answer is then 404. The path's id is the client's text: it may hold any character. Join it to
   * the user's id so that no two pairs make one text. `"public"`: every client may read every group whose id it knows.
   */
  readonly scope: ((c: Context, id: string) => string | null | Promise<string | null>) | "public";
  /** The longest wait of `GET /:id`, in milliseconds: 0 to 600,000. @default 20_000 */
  readonly maxWaitMs?: Duration | undefined;
  /** How long one event stream lasts before the client must reconnect: 1,000 to 3,600,000 ms. @default 60_000 */
  readonly maxStreamMs?: Duration | undefined;
  /** Receives `followup_failed` when an event stream only says when to connect again. */
  readonly onEvent?: OnEvent | undefined;
  /** Gives the time and runs timers. @default the system's clock */
  readonly clock?: Clock | undefined;
}

const OPTIONS: Names<GroupRoutesOptions> = {
  coordinator: true,
  scope: true,
  maxWaitMs: true,
  maxStreamMs: true,
  onEvent: true,
  clock: true,
};
const PARAM = "edgeCoordinatorGroupId";

/** The parent's id would open the parent where ids are all that clients need. */
const withoutParent = ({ parent: _, ...shown }: GroupStatus): object => shown;

/**
 * Returns routes that show groups to clients.
 *
 * - `GET /:id`: the group's status (`GroupStatus`), or 404. `Prefer: wait=N`, or `?wait=true&timeout=N`, waits for the end.
 * - `GET /:id/events`: server-sent events, for `EventSource`: `progress` with the status, and at the end one with the name of
 *   the state, such as `completed`. They resume by `Last-Event-ID`, as those of `requestStatusRoutes` do.
 *
 * An open group is answered with `Retry-After`. A status holds the group's metadata, its errors, its counts and the state of
 * its delivery, and not its `parent`: where `scope` is `"public"`, an id opens its group. The routes write nothing, and no cache stores their answers. Put your authentication in front of them.
 *
 * @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range, `misconfigured` at a request
 * whose `scope` returns neither a text nor null.
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { MemoryCoordinator } from "edge-coordinator";
 * import { groupRoutes } from "edge-coordinator/hono";
 *
 * const coordinator = new MemoryCoordinator();
 * const app = new Hono().route("/groups", groupRoutes({ coordinator, scope: (_c, id) => `user-1/${id}` }));
 * ```
 */
export function groupRoutes(options: GroupRoutesOptions): Hono {
  checkOptions(options ?? null, OPTIONS);
  const { coordinator, scope, onEvent, clock = systemClock } = options;
  if (typeof coordinator !== "function") checkCoordinator(coordinator);
  if (scope !== "public" && typeof scope !== "function") {
    throw new CoordinationError("invalid_input", 'scope must be a function that returns the group\'s id, or "public"');
  }
  const maxWaitMs = inMillis(options.maxWaitMs, "maxWaitMs") ?? 20_000;
  const maxStreamMs = inMillis(options.maxStreamMs, "maxStreamMs") ?? 60_000;
  checkInteger(maxWaitMs, "maxWaitMs", 0, MAX_WAIT_MS);
  checkInteger(maxStreamMs, "maxStreamMs", MIN_STREAM_MS, MAX_STREAM_MS);
  const groupIdOf = async (c: Context): Promise<string | null> => {
    const asked = c.req.param(PARAM) ?? "";
    const id = scope === "public" ? asked : await scope(c, asked);
    if (id === null) return null;
    if (typeof id !== "string") {
      throw new CoordinationError("misconfigured", "scope must return the group's id, or null");
    }
    checkId(id, "the group's id");
    return id;
  };
  const trackerOf = (c: Context): CompletionTracker => new CompletionTracker(coordinatorOf(coordinator, c));

  const app = new Hono();
  app.get(
    `/:${PARAM}`,
    withOwnErrors(async (c) => {
      const id = await groupIdOf(c);
      if (id === null) return notFound(c);
      const { waitMs, waitApplied } = wishOf(c, maxWaitMs);
      const limitMs = waitMs ? waitMs + LATE_LOOK_MS : LOOK_MS;
      const status = await answered({ limitMs, signal: c.req.raw.signal, clock }, (signal) =>
        waitMs ? trackerOf(c).wait(id, { timeoutMs: waitMs, signal }) : trackerOf(c).status(id, { signal }),
      );
      if (status === null) return notFound(c);
      return c.json(withoutParent(status), 200, {
        ...NO_STORE,
        ...(status.state === "open" ? { "retry-after": RETRY_AFTER_SEC } : {}),
        ...(waitApplied === undefined ? {} : { "preference-applied": waitApplied }),
      });
    }),
  );
  app.get(
    `/:${PARAM}/events`,
    withOwnErrors(async (c) => {
      const id = await groupIdOf(c);
      const source = id === null ? undefined : groupEvents(trackerOf(c), id, withoutParent);
      return answerEvents(c, source, { clock, onEvent, maxStreamMs });
    }),
  );
  return app;
}
