export type {
  BuiltInBackend,
  CoordinatorConfig,
  DurableObjectConfig,
  HttpConfig,
  ParsedConfig,
  UpstashConfig,
} from "./config.js";
export { type CreateCoordinatorOptions, createCoordinator, type RedisClient } from "./create.js";
export type { CustomBackend, CustomBackends } from "./custom.js";
export { parseConfig } from "./parse.js";
