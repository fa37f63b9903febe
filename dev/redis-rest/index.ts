export { type RedisProcess, startRedis } from "./redis-process.js";
export type { LoggedRequest, RequestLog, Route } from "./request-log.js";
export { type RestServer, type RestServerOptions, startRestServer } from "./rest-server.js";
