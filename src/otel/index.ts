export type { TracingOptions } from "./telemetry.js";
export { traced } from "./traced.js";
export { tracedHandlers } from "./traced-handlers.js";
