import { type Coordinator, coordinatorOver } from "../../src/coordinator.js";
import type { InputOf, OutputOf, TransitionName } from "../../src/core/registry.js";
import { CoordinationError } from "../../src/errors.js";
import type { RunOptions, WatchableTransition, WatchOptions } from "../../src/runtime/backend.js";
import { ForwardingBackend } from "../../src/runtime/forwarding-backend.js";
import { QuotaExceeded } from "./exceeded.js";
import type { TenantQuotas } from "./quotas.js";
import type { Limits } from "./table.js";

/** The fields of inputs that are times, with their names in the library and in the HTTP API. */
const TIMES: readonly (readonly [field: string, name: string, quota: "maxTtlSec" | "maxEarlySec"])[] = [
  ["ttlMs", "ttlSec", "maxTtlSec"],
  ["timeoutMs", "timeoutSec", "maxTtlSec"],
  ["idleMs", "idleTimeoutSec", "maxTtlSec"],
  ["windowMs", "windowSec", "maxTtlSec"],
  ["earlyTtlMs", "earlyTtlSec", "maxEarlySec"],
];

/**
 * Returns a coordinator that counts and checks what it runs by a tenant's quotas, before it runs it. Every route and every
 * operation of a batch goes through it.
 */
export function limited(whole: Coordinator, quotas: TenantQuotas): Coordinator {
  return coordinatorOver(new LimitedBackend(whole, quotas), whole);
}

class LimitedBackend extends ForwardingBackend {
  readonly #quotas: TenantQuotas;

  constructor(whole: Coordinator, quotas: TenantQuotas) {
    super(whole);
    this.#quotas = quotas;
  }

  override async run<N extends TransitionName>(
    name: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    const { limits } = this.#quotas;
    checkTimes(name, input as object, limits);
    if (isRegistration(name)) {
      checkTasks(input as object, limits.tasksPerCall);
      await this.#quotas.registrations(1);
    }
    const pauseSec = limits.redeliverPauseSec;
    if (!name.endsWith(".redeliver") || pauseSec === Number.POSITIVE_INFINITY) {
      return super.run(name, id, input, options);
    }
    const output = await super.run(name, id, { ...(input as object), pauseMs: pauseSec * 1000 } as InputOf<N>, options);
    const { retryAfterMs } = output as OutputOf<"completion.redeliver">;
    if (retryAfterMs === undefined) return output;
    const policy = { quota: "redeliverPauseSec", limit: 1, windowSec: pauseSec } as const;
    const noun = name === "request.redeliver" ? "request" : "group";
    throw this.#quotas.exceeded(new QuotaExceeded(policy, `the ${noun} was redelivered a moment ago`, retryAfterMs));
  }

  override async watch<N extends WatchableTransition>(
    name: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    const watch = () => super.watch(name, id, input, options);
    return options.timeoutMs > 0 ? this.#quotas.wait(watch) : watch();
  }
}

/** Whether a transition registers a group or a request. */
export function isRegistration(name: string): boolean {
  return name === "completion.register" || name === "request.register";
}

/** @throws {CoordinationError} `invalid_input` */
function checkTimes(name: TransitionName, input: object, limits: Limits): void {
  // The window of a limiter is no time to live, and bounded by itself.
  if (name.startsWith("limiter.")) return;
  const times = input as Readonly<Record<string, unknown>>;
  for (const [field, told, quota] of TIMES) {
    const { [field]: ms } = times;
    const most = limits[quota];
    if (typeof ms !== "number" || ms <= most * 1000) continue;
    const message = `${told} must be at most ${most} seconds at this Worker (quota ${quota})`;
    throw new CoordinationError("invalid_input", message);
  }
}

/** @throws {CoordinationError} `limit_exceeded` */
function checkTasks(input: object, most: number): void {
  const { lists } = input as Partial<InputOf<"completion.register">>;
  // A list begins with its stage.
  const count = (lists ?? []).reduce((sum, list) => sum + (JSON.parse(list) as unknown[]).length - 1, 0);
  if (count <= most) return;
  const message = `one registration may list at most ${most} tasks at this Worker (quota tasksPerCall)`;
  const advice = "add the rest to an open group, or register numbered tasks with indexed";
  throw new CoordinationError("limit_exceeded", `${message}: ${advice}`);
}
