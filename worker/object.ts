import { CoordinatorObject } from "../src/durable-object/index.js";
import type { Webhooks } from "../src/trackers/handler.js";
import { type WorkerEnv, webhooksOf } from "./env.js";

/**
 * The Worker's Durable Object: a `CoordinatorObject` whose webhooks are set up by `WEBHOOK_SECRET`,
 * `WEBHOOK_ALLOWED_HOSTS` and `WEBHOOK_ALLOW_HTTP`. Extend it to add handlers.
 *
 * @example
 * ```ts
 * import { CoordinatorWorkerObject, createWorker } from "edge-coordinator/worker";
 *
 * export class AppCoordinator extends CoordinatorWorkerObject {
 *   override readonly handlers = { finalize: async ({ deliveryId, status }) => { … } };
 * }
 * export default createWorker();
 * ```
 */
export class CoordinatorWorkerObject<Env extends WorkerEnv = WorkerEnv> extends CoordinatorObject<Env> {
  override readonly webhooks: Webhooks | undefined = webhooksIfSound(this.env);
}

/**
 * Wrong variables must not take acks and waits down with them: registrations that name a URL are told of them, and what
 * is due already waits until they are mended.
 */
function webhooksIfSound(env: WorkerEnv): Webhooks | undefined {
  try {
    return webhooksOf(env);
  } catch {
    return undefined;
  }
}
