import { CoordinatorObject } from "../src/backends/durable-object/object/index.js";
import { CoordinationError } from "../src/errors.js";
import type { CoordinatorEvent } from "../src/runtime/events.js";
import { keyPrefixOf, tenantOf, type WorkerEnv } from "./env.js";
import { type HandlerRules, type MayName, mayNameOf } from "./handlers.js";
import { EventLog } from "./log.js";
import { isSuspended, SUSPENDED } from "./suspension.js";
import { webhooksOf } from "./webhooks.js";

/**
 * The Worker's Durable Object: a `CoordinatorObject` that reads its webhooks' settings from `WEBHOOK_SECRET` or
 * `WEBHOOK_SECRETS`, `WEBHOOK_ALLOWED_HOSTS` and `WEBHOOK_ALLOW_HTTP`. Extend it to add handlers. Handlers receive the
 * `tenant`.
 *
 * Writes every event to the console as a line of JSON with the `tenant`, at most 20 lines a second. Override `onEvent` to
 * send them elsewhere.
 *
 * While a variable is malformed, registrations that name a URL are refused, and due webhooks wait. Acks, waits and handlers
 * still work. Events and `/health` name the variable.
 *
 * @example
 * ```ts
 * import type { HandlerEvent } from "edge-coordinator";
 * import { CoordinatorWorkerObject, createWorker } from "edge-coordinator/worker";
 *
 * export class AppCoordinator extends CoordinatorWorkerObject {
 *   override readonly handlers = {
 *     finalize: async ({ deliveryId, status }: HandlerEvent) => console.log(deliveryId, status.state),
 *   };
 * }
 * export default createWorker();
 * ```
 */
export class CoordinatorWorkerObject<Env extends WorkerEnv = WorkerEnv> extends CoordinatorObject<Env> {
  /**
   * Which tenants' groups may call a handler: give the `handlers` of `createWorker` here too. It then also holds for groups that
   * were registered before a change of the rules. Their callbacks wait, and `unhandled` has the reason.
   *
   * @default every tenant's
   */
  declare readonly handlerTenants?: HandlerRules;

  override readonly webhooks: CoordinatorObject["webhooks"] = (keyPrefix) => {
    if (isSuspended(this.env, keyPrefix)) throw new CoordinationError("unsupported", SUSPENDED);
    return webhooksOf(this.env, keyPrefix);
  };

  override readonly index: boolean = true;

  #mayName: MayName | undefined;
  readonly #log = new EventLog(() => this.now());

  protected override onEvent(event: CoordinatorEvent): void {
    this.#log.add(event, { tenant: this.tenant });
  }

  protected override handlerRefusal(handler: string, tenant: string | undefined): string | undefined {
    try {
      if (tenant !== undefined && isSuspended(this.env, keyPrefixOf(tenant))) return SUSPENDED;
      this.#mayName ??= mayNameOf(this.handlerTenants);
      return this.#mayName(handler, tenant) ? undefined : "handlerTenants does not allow its tenant";
    } catch (error) {
      if (error instanceof CoordinationError) return error.message;
      throw error;
    }
  }

  protected override tenantOf(keyPrefix: string): string | undefined {
    return tenantOf(keyPrefix);
  }
}
