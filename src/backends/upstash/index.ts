export { UpstashCoordinator } from "./coordinator.js";
export type { UpstashOptions, UpstashRedis } from "./options.js";
