import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Coordinator } from "../../src/index.js";
import { commandOf, type Ended, type Env } from "./command.js";

export const TOKEN = "command-line-token-1";

/** A backend as the application and the command see it. */
export interface CliBackend {
  readonly coordinator: Coordinator;
  readonly env: Env;
  /** The options that each call of the command needs besides the variables. */
  readonly options: readonly string[];
  cli(...args: readonly string[]): Promise<Ended>;
  close(): Promise<void>;
}

/** The real Worker in workerd. */
export async function workerBackend(vars: Env = {}): Promise<CliBackend> {
  const host: WorkerHost = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN, ...vars } });
  const env = { COORDINATOR_URL: host.url, COORDINATOR_TOKEN: TOKEN };
  const coordinator = new HttpCoordinator({ url: host.url, token: TOKEN });
  return { coordinator, env, options: [], cli: commandOf(env), close: () => host.close() };
}

/** A real Redis behind the REST server, with a key prefix of its own. */
export function upstashBackend(): CliBackend & { newCoordinator(): UpstashCoordinator } {
  const [url, token, keyPrefix] = [inject("restUrl"), inject("restToken"), `cli-${randomUUID()}:`];
  const env = { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token };
  const options = ["--key-prefix", keyPrefix];
  const newCoordinator = () => new UpstashCoordinator({ url, token, keyPrefix, onEvent: () => {} });
  return {
    coordinator: newCoordinator(),
    newCoordinator,
    env,
    options,
    cli: commandOf(env, options),
    close: async () => {},
  };
}
