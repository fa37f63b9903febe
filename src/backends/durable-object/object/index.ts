export {
  DurableObjectCoordinator,
  type DurableObjectOptions,
  type ObjectCall,
  type ObjectMethods,
  type ObjectNamespace,
  type ObjectReply,
  type WatchClient,
  type WatchReply,
} from "../client.js";
export { CoordinatorObject, MAX_WATCHES } from "./object.js";
