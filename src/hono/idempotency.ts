import type { Context, MiddlewareHandler } from "hono";
import { Problem } from "../http/problem.js";
import { checkOptions } from "../lib/known-options.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { refusal } from "./coordination-errors.js";
import type { IdempotentRun, KeyedRequest } from "./guard.js";
import { check, guardSettings, IDEMPOTENCY_OPTIONS, type IdempotencyOptions } from "./idempotency-options.js";
import { guardOf } from "./idempotent-run.js";
import { idempotencyKey, scopeOf, usableKey } from "./request-id.js";
import { coordinatorOf } from "./settings.js";

/** The run of a handler whose request has no key: nothing guards it. */
export interface UnguardedRun {
  readonly key: undefined;
  readonly fencingToken: undefined;
  /** Never aborts. */
  readonly signal: AbortSignal;
}

/**
 * The type that `idempotency` adds to the environment of the handlers behind it.
 *
 * @typeParam R whether a request must have a key: with `required: true` a handler always finds one.
 */
export interface IdempotencyEnv<R extends boolean = boolean> {
  Variables: { idempotency: IdempotentRun | (R extends true ? never : UnguardedRun) };
}

/** Methods without effects: their requests pass. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
/** Keys that another client does not guess. */
const UNGUESSABLE = /^([0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|.{32,})$/i;

/**
 * Returns middleware that runs the handler of a key once, and gives its response to each duplicate, by the IETF draft of
 * `Idempotency-Key`. Mount it on the routes that clients may send again. `GET`, `HEAD`, `OPTIONS` and `TRACE` pass.
 *
 * | a request with a key | receives |
 * |---|---|
 * | that is new | the handler's response |
 * | that is done | the first response, with `Idempotency-Replayed: true` |
 * | that is in progress | 409 `in_progress` with `Retry-After`, or it waits: `onInFlight` |
 * | that was used for another request | 422 `mismatch` |
 * | that is done, and whose response is not kept | 409 `result_not_kept` |
 * | that is not 1 to 255 printable ASCII characters, or is missing and `required` | 400 `malformed` |
 *
 * Kept are the status, a body of up to 64 KB, and the header fields that describe it; never `Set-Cookie`. A larger response,
 * or a stream, reaches its client, but is not kept. Its handler does not run again: a duplicate gets `result_not_kept`.
 * `store` says which statuses are kept. Any other response, and a handler that throws, frees the key: work that was done
 * before it runs again.
 *
 * The request is identified by its method, its path with the query, its content type and its body of up to 1 MB; a larger
 * body is answered 413. See `fingerprint`. The handler can still read the body.
 *
 * A client that disconnects does not stop the handler: on Workers the run goes on in `waitUntil`, for up to 30 s. When the
 * backend fails before the handler, the answer is 503, and the handler does not run. When it fails afterwards, the response is
 * sent, and `onEvent` receives the error.
 *
 * Does not promise that a handler runs once. After a crash, a lost lease, or a response that could not be kept, a duplicate
 * runs it again once the lease is over. Send `c.var.idempotency.fencingToken` with each write, or make the work idempotent.
 *
 * @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. At a request: `misconfigured`
 * for a scope that is empty, or a body that was read before.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { MemoryCoordinator } from "edge-coordinator";
 * import { coordinationErrors, idempotency } from "edge-coordinator/hono";
 *
 * const coordinator = new MemoryCoordinator();
 * const once = idempotency({ coordinator, scope: (c) => c.get("userId"), required: true, onInFlight: "wait" });
 * const app = new Hono().onError(coordinationErrors()).post("/payments", once, async (c) => {
 *   const { key, signal } = c.var.idempotency;
 *   await fetch("https://bank.example/pay", { method: "POST", headers: { "Idempotency-Key": key }, signal });
 *   return c.json({ paid: true }, 201);
 * });
 * ```
 */
export function idempotency<const R extends boolean = false>(
  options: IdempotencyOptions<R>,
): MiddlewareHandler<IdempotencyEnv<R>> {
  checkOptions(options ?? null, IDEMPOTENCY_OPTIONS);
  const { coordinator, scope, key: keyOf = idempotencyKey, onEvent, ...rest } = options;
  if (typeof coordinator !== "function") checkCoordinator(coordinator);
  const isScope = scope === "public" || typeof scope === "function";
  check(isScope, 'scope must be a function that returns whose key it is, or "public"');
  check(typeof keyOf === "function", "key must be a function that returns the key, or undefined");
  const guard = guardOf(guardSettings(rest));
  return async function idempotency(c, next) {
    if (SAFE.has(c.req.method)) return unguarded(c, next);
    try {
      const key = checkedKey(await keyOf(c), scope === "public");
      if (key === undefined && guard.isRequired) guard.refuseKeyless(c);
      else if (key === undefined) await unguarded(c, next);
      else {
        const owner = scope === "public" ? "" : scopeOf(c, scope);
        const handle: KeyedRequest["handle"] = async (run) => {
          c.set("idempotency", run);
          await next();
          return true;
        };
        await guard.run(c, { coordinator: coordinatorOf(coordinator, c), key, owner, onEvent, handle });
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      refusal(c, error);
    }
    return undefined;
  };
}

async function unguarded(c: Context, next: () => Promise<void>): Promise<undefined> {
  c.set("idempotency", { key: undefined, fencingToken: undefined, signal: new AbortController().signal });
  await next();
}

/** @throws {Problem} `malformed` for an unusable key. */
function checkedKey(key: unknown, isPublic: boolean): string | undefined {
  const usable = usableKey(key, "the key");
  if (usable === undefined || !isPublic || UNGUESSABLE.test(usable)) return usable;
  throw new Problem("malformed", "the key must be a UUID, or have at least 32 characters");
}
