export { AlarmClock, type ClockNamespace, type ClockPlace, type ClockState, type ClockStub } from "./alarm-clock.js";
export { UpstashCoordinator } from "./coordinator.js";
export type { UpstashFetch, UpstashOptions, UpstashRedis } from "./options.js";
