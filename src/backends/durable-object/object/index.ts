export { DurableObjectCoordinator, type DurableObjectOptions, type ObjectNamespace } from "../client.js";
export type { ObjectCall, ObjectMethods, ObjectReply, WatchClient, WatchReply } from "../protocol.js";
export { CoordinatorObject, MAX_WATCHES } from "./object.js";
