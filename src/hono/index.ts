export {
  type CoordinationErrorHandler,
  type CoordinationErrorsOptions,
  coordinationErrors,
} from "./coordination-errors.js";
export { type DrainRoutesOptions, drainRoutes } from "./drain-routes.js";
export { type GroupRoutesOptions, groupRoutes } from "./group-routes.js";
export type { IdempotentRun } from "./guard.js";
export { type IdempotencyEnv, idempotency, type UnguardedRun } from "./idempotency.js";
export type { IdempotencyOptions, IdempotentRequestsOptions } from "./idempotency-options.js";
export { type IdempotentRequests, idempotentRequests } from "./idempotent-requests.js";
export type { RequestOptions } from "./options.js";
export { type RateLimitOptions, rateLimit } from "./rate-limit.js";
export { type RequestWait, type RequestWaitEnv, requestWait } from "./request-wait.js";
export { requestStatusRoutes } from "./status-routes.js";
