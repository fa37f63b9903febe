import { CoordinatorObject } from "../src/durable-object/index.js";
import type { Webhooks } from "../src/trackers/handler.js";
import type { WorkerEnv } from "./env.js";
import { webhooksOf } from "./webhooks.js";

/**
 * The Worker's Durable Object: a `CoordinatorObject` whose webhooks are set up by `WEBHOOK_SECRET` or `WEBHOOK_SECRETS`,
 * `WEBHOOK_ALLOWED_HOSTS` and `WEBHOOK_ALLOW_HTTP`. Extend it to add handlers.
 *
 * @example
 * ```ts
 * import type { HandlerEvent } from "edge-coordinator";
 * import { CoordinatorWorkerObject, createWorker } from "edge-coordinator/worker";
 *
 * export class AppCoordinator extends CoordinatorWorkerObject {
 *   override readonly handlers = { finalize: async ({ deliveryId, status }: HandlerEvent) => { … } };
 * }
 * export default createWorker();
 * ```
 */
export class CoordinatorWorkerObject<Env extends WorkerEnv = WorkerEnv> extends CoordinatorObject<Env> {
  override readonly webhooks: CoordinatorObject["webhooks"] = (keyPrefix) => webhooksIfSound(this.env, keyPrefix);
}

/**
 * Wrong variables must not take acks and waits down with them: registrations that name a URL are told of them, and what
 * is due already waits until they are mended.
 */
function webhooksIfSound(env: WorkerEnv, keyPrefix: string): Webhooks | undefined {
  try {
    return webhooksOf(env, keyPrefix);
  } catch {
    return undefined;
  }
}
