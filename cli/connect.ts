import { createCoordinator } from "../src/config/index.js";
import type { Coordinator } from "../src/index.js";
import type { Settings } from "./settings.js";

/**
 * Returns a coordinator over the backend of the settings. It registers no handlers, so that it takes no delivery from the
 * instances that have them.
 *
 * @throws {CoordinationError} `misconfigured` for an address or a token that cannot be used.
 */
export function connect({ backend, url, token, keyPrefix, allowHttp }: Settings): Promise<Coordinator> {
  const options = { env: {}, onEvent: () => {} };
  if (backend === "http") return createCoordinator({ backend, http: { url, token, allowHttp } }, options);
  const prefix = keyPrefix === undefined ? {} : { keyPrefix };
  return createCoordinator({ backend, upstash: { url, token, allowHttp, ...prefix } }, options);
}
