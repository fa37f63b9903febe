export {
  DurableObjectCoordinator,
  type DurableObjectOptions,
  type ObjectCall,
  type ObjectMethods,
  type ObjectNamespace,
  type ObjectReply,
} from "../backends/durable-object.js";
export { CoordinatorObject, MAX_WATCHES } from "./object.js";
