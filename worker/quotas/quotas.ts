import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { ObjectNamespace } from "../../src/backends/durable-object/options.js";
import { RateLimiter } from "../../src/trackers/rate-limiter.js";
import { tenantOf, VariableError, type WorkerEnv } from "../env.js";
import type { WorkerEvent } from "../log.js";
import { QuotaExceeded } from "./exceeded.js";
import { endingWith, OpenWaits } from "./open-waits.js";
import { RateBlocks } from "./rate-blocks.js";
import { checkQuotaOption, checkQuotaVariables, type Limits, limitsOf, type QuotaSettings } from "./table.js";

/** The prefix of the limiters' records. No tenant's names begin with it. */
const KEY_PREFIX = "coord-quota:";
const WINDOW_SEC = 60;
/** When a caller tries again that found too many waits open: some of them end meanwhile. */
const WAIT_RETRY_MS = 5_000;
/** The binding does not say when it allows a call again. Its shortest period is ten seconds. */
const BINDING_RETRY_MS = 10_000;

/** The quotas whose limiter counts. */
type RateName = "requestsPerMinute" | "registrationsPerMinute";

/** The caller of one request, and where its tenant's rates are counted. */
export interface QuotaCaller {
  readonly env: WorkerEnv;
  readonly keyPrefix: string;
  readonly namespace: () => ObjectNamespace;
  /** The method and the path, for events. */
  readonly call: { readonly method: string; readonly path: string };
  readonly nowMs: () => number;
  readonly tell: (event: WorkerEvent) => void;
}

/** The counters of one isolate. One for each Worker. */
export class IsolateQuotas {
  readonly option: QuotaSettings;
  readonly blocks = new RateBlocks();
  readonly waits = new OpenWaits();

  /** @throws {CoordinationError} `misconfigured` for quotas that are unknown or out of range. */
  constructor(option: QuotaSettings) {
    checkQuotaOption(option);
    this.option = option;
  }

  /** Returns the quotas for one request. While their variable is malformed, they are the option's and the defaults. */
  of(caller: QuotaCaller): TenantQuotas {
    const { env, keyPrefix, tell } = caller;
    const tenant = tenantOf(keyPrefix);
    try {
      checkQuotaVariables(env);
      return new TenantQuotas(this, caller, limitsOf(env, this.option, tenant));
    } catch (error) {
      if (!(error instanceof VariableError)) throw error;
      tell({ type: "misconfigured", variable: error.variable, error });
      return new TenantQuotas(this, { ...caller, env: {} }, limitsOf({}, this.option, tenant));
    }
  }
}

/** The quotas of one request's tenant. */
export class TenantQuotas {
  readonly limits: Limits;
  readonly #isolate: IsolateQuotas;
  readonly #caller: QuotaCaller;
  #isHeld = false;
  /** The registrations of a batch that were counted together, and the refusal of them all. */
  #reserved = 0;
  #refused: QuotaExceeded | undefined;

  constructor(isolate: IsolateQuotas, caller: QuotaCaller, limits: Limits) {
    this.#isolate = isolate;
    this.#caller = caller;
    this.limits = limits;
  }

  /** Counts calls, before anything of them is done. @throws {QuotaExceeded} */
  async requests(count: number): Promise<void> {
    const { COORDINATOR_RATE_LIMIT: binding } = this.#caller.env;
    if (binding === undefined) return this.#take("requestsPerMinute", count, "this token has sent too many requests");
    const { keyPrefix: key } = this.#caller;
    for (let i = 0; i < count; i++) {
      if (await this.#isAllowed(async () => (await binding.limit({ key })).success)) continue;
      throw this.exceeded(
        new QuotaExceeded({ quota: "requestsPerMinute" }, "this token has sent too many requests", BINDING_RETRY_MS),
      );
    }
  }

  /** Counts the registrations of a batch together. Each is refused when they do not fit. */
  async reserve(count: number): Promise<void> {
    if (count < 2) return;
    try {
      await this.registrations(count);
      this.#reserved = count;
    } catch (error) {
      if (!(error instanceof QuotaExceeded)) throw error;
      this.#refused = error;
    }
  }

  /** @throws {QuotaExceeded} */
  async registrations(count: number): Promise<void> {
    if (this.#refused !== undefined) throw this.#refused;
    if (this.#reserved >= count) this.#reserved -= count;
    else await this.#take("registrationsPerMinute", count, "this token has registered too many groups and requests");
  }

  /** Does the work while it counts as one open wait. Work within counts no further one. @throws {QuotaExceeded} */
  async wait<Value>(work: () => Promise<Value>): Promise<Value> {
    const end = this.#beginWait();
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Sends an event stream, which counts as one open wait until its end. @throws {QuotaExceeded} */
  async stream(signal: AbortSignal, answer: () => Promise<Response>): Promise<Response> {
    const end = this.#beginWait();
    signal.addEventListener("abort", end);
    try {
      if (signal.aborted) end();
      return endingWith(await answer(), end);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Reports a refusal, and returns it. */
  exceeded(error: QuotaExceeded): QuotaExceeded {
    const { tell, call, keyPrefix } = this.#caller;
    tell({ type: "quota", quota: error.policy.quota, ...call, tenant: tenantOf(keyPrefix) });
    return error;
  }

  #beginWait(): () => void {
    if (this.#isHeld) return () => {};
    const limit = this.limits.openWaits;
    const end = this.#isolate.waits.begin(this.#caller.keyPrefix, limit);
    if (end === undefined) {
      const message = "this token has too many waits and event streams open";
      throw this.exceeded(new QuotaExceeded({ quota: "openWaits", limit }, message, WAIT_RETRY_MS));
    }
    this.#isHeld = true;
    return () => {
      this.#isHeld = false;
      end();
    };
  }

  async #take(quota: RateName, cost: number, message: string): Promise<void> {
    const limit = this.limits[quota];
    if (limit === Number.POSITIVE_INFINITY) return;
    const { keyPrefix, nowMs, namespace } = this.#caller;
    const rate = { key: `${quota} ${limit} ${keyPrefix}`, limit, windowMs: WINDOW_SEC * 1000 };
    const ask = async (asked: number) => {
      const coordinator = new DurableObjectCoordinator({ namespace: namespace(), keyPrefix: KEY_PREFIX });
      const options = { limit, windowSec: WINDOW_SEC, namespace: quota, onError: "allow" } as const;
      const answer = await new RateLimiter(coordinator, options).limit(keyPrefix, asked);
      if (answer.cause !== undefined) this.#tellUnchecked(quota, answer.cause);
      return answer;
    };
    const waitMs = await this.#isolate.blocks.take(rate, { cost, nowMs: nowMs() }, ask);
    if (waitMs > 0) throw this.exceeded(new QuotaExceeded({ quota, limit, windowSec: WINDOW_SEC }, message, waitMs));
  }

  /** A binding that fails allows the call: an outage of the count must not become one of the Worker. */
  async #isAllowed(ask: () => Promise<boolean>): Promise<boolean> {
    try {
      return await ask();
    } catch (error) {
      this.#tellUnchecked("requestsPerMinute", error);
      return true;
    }
  }

  #tellUnchecked(quota: RateName, error: unknown): void {
    this.#caller.tell({ type: "quota_unchecked", quota, tenant: tenantOf(this.#caller.keyPrefix), error });
  }
}
