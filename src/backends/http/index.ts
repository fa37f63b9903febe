export { HttpCoordinator } from "./coordinator.js";
export type { HttpFetch, HttpOptions } from "./options.js";
