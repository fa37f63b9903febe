export { DurableObjectCoordinator } from "../client.js";
export type { DurableObjectOptions, ObjectNamespace } from "../options.js";
export type { ObjectCall, ObjectMethods, ObjectReply, WatchClient, WatchReply } from "../protocol.js";
export { CoordinatorObject, MAX_WATCHES } from "./object.js";
