export {
  type CoordinationErrorHandler,
  type CoordinationErrorsOptions,
  coordinationErrors,
} from "./coordination-errors.js";
export { type DrainRoutesOptions, drainRoutes } from "./drain-routes.js";
export { type GroupRoutesOptions, groupRoutes } from "./group-routes.js";
export type { RequestOptions } from "./options.js";
export { type RateLimitOptions, rateLimit } from "./rate-limit.js";
export { type RequestWait, type RequestWaitEnv, requestWait } from "./request-wait.js";
export { requestStatusRoutes } from "./status-routes.js";
