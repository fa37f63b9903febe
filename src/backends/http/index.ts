export { HttpCoordinator, type HttpFetch, type HttpOptions } from "./coordinator.js";
