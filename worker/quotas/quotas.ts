import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { ObjectNamespace } from "../../src/backends/durable-object/options.js";
import { CoordinationError } from "../../src/errors.js";
import { RateLimiter } from "../../src/trackers/rate-limiter.js";
import { type RateLimitBinding, tenantOf, VariableError, type WorkerEnv } from "../env.js";
import type { WorkerEvent } from "../log.js";
import { QuotaExceeded } from "./exceeded.js";
import { endingWith, type OpenWait, OpenWaits } from "./open-waits.js";
import { RateBlocks } from "./rate-blocks.js";
import { checkQuotaOption, type Limits, limitsOf, type QuotaSettings, rateLimitBinding } from "./table.js";

/** The prefix of the limiters' records, before that of their tenant: no tenant can name them, or fill another's object. */
const KEY_PREFIX = "coord-quota:";
const WINDOW_SEC = 60;
/** When a caller tries again that found too many waits open: some of them end meanwhile. */
const WAIT_RETRY_MS = 5_000;
/** The binding does not say when it allows a call again. Its shortest period is ten seconds. */
const BINDING_RETRY_MS = 10_000;

const TOO_MANY_REQUESTS = "this token has sent too many requests";

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
    /** A malformed variable does not turn the other one off. */
    const sound = <Value>(read: () => Value, otherwise: () => Value): Value => {
      try {
        return read();
      } catch (error) {
        if (!(error instanceof VariableError)) throw error;
        tell({ type: "misconfigured", variable: error.variable, error });
        return otherwise();
      }
    };
    const binding = sound(
      () => rateLimitBinding(env),
      () => undefined,
    );
    const limits = sound(
      () => limitsOf(env, this.option, tenant),
      () => limitsOf({}, this.option, tenant),
    );
    return new TenantQuotas(this, caller, { limits, binding });
  }
}

/** The quotas of one request's tenant. */
export class TenantQuotas {
  readonly limits: Limits;
  readonly #isolate: IsolateQuotas;
  readonly #caller: QuotaCaller;
  readonly #binding: RateLimitBinding | undefined;
  #isHeld = false;
  /** The registrations of a batch that were counted together, and the refusal of them all. */
  #reserved = 0;
  #refused: CoordinationError | undefined;

  constructor(
    isolate: IsolateQuotas,
    caller: QuotaCaller,
    { limits, binding }: { readonly limits: Limits; readonly binding: RateLimitBinding | undefined },
  ) {
    this.#isolate = isolate;
    this.#caller = caller;
    this.#binding = binding;
    this.limits = limits;
  }

  /** Counts the request, before anything of it is done. @throws {QuotaExceeded} */
  async request(): Promise<void> {
    const binding = this.#binding;
    if (binding === undefined) return this.#take("requestsPerMinute", 1, TOO_MANY_REQUESTS);
    const { keyPrefix: key } = this.#caller;
    if (await this.#isAllowed(async () => (await binding.limit({ key })).success)) return;
    throw this.exceeded(new QuotaExceeded({ quota: "requestsPerMinute" }, TOO_MANY_REQUESTS, BINDING_RETRY_MS));
  }

  /**
   * Counts the further calls of a batch, whose request is counted. The platform's binding takes one call at a time, so a large
   * batch would never fit: it counts requests alone.
   *
   * @throws {QuotaExceeded}
   * @throws {CoordinationError} `limit_exceeded` for a batch that would never fit.
   */
  async furtherCalls(count: number): Promise<void> {
    if (this.#binding === undefined && count > 0) await this.#take("requestsPerMinute", count, TOO_MANY_REQUESTS);
  }

  /** Counts the registrations of a batch together. Each is refused when they do not fit. */
  async reserve(count: number): Promise<void> {
    if (count < 2) return;
    try {
      await this.registrations(count);
      this.#reserved = count;
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error;
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
    const { end } = this.#beginWait();
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Sends an event stream, which counts as one open wait until its end. @throws {QuotaExceeded} */
  async stream(signal: AbortSignal, answer: () => Promise<Response>): Promise<Response> {
    const { call, nowMs } = this.#caller;
    const { end, renew } = this.#beginWait();
    signal.addEventListener("abort", end);
    try {
      if (signal.aborted) end();
      const response = endingWith(await answer(), { end, sent: () => renew(nowMs()) });
      // Its body is neither read nor cancelled by the platform.
      if (call.method === "HEAD") await response.body?.cancel();
      return response;
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

  #beginWait(): OpenWait {
    if (this.#isHeld) return { end: () => {}, renew: () => {} };
    const limit = this.limits.openWaits;
    const { keyPrefix, nowMs } = this.#caller;
    const wait = this.#isolate.waits.begin(keyPrefix, limit, nowMs());
    if (wait === undefined) {
      const message = "this token has too many waits and event streams open";
      throw this.exceeded(new QuotaExceeded({ quota: "openWaits", limit }, message, WAIT_RETRY_MS));
    }
    this.#isHeld = true;
    const end = (): void => {
      this.#isHeld = false;
      wait.end();
    };
    return { end, renew: wait.renew };
  }

  async #take(quota: RateName, cost: number, message: string): Promise<void> {
    const limit = this.limits[quota];
    if (limit === Number.POSITIVE_INFINITY) return;
    const { keyPrefix, nowMs, namespace } = this.#caller;
    // More than half of a rate would wait for ever: the rest of it goes on being used.
    const most = Math.max(1, Math.floor(limit / 2));
    if (cost > most) {
      const text = `a batch may hold at most ${most} calls of this kind at this Worker (half of the quota ${quota})`;
      throw new CoordinationError("limit_exceeded", text);
    }
    const rate = { key: `${quota} ${limit} ${keyPrefix}`, limit, windowMs: WINDOW_SEC * 1000 };
    const ask = async (asked: number) => {
      const coordinator = new DurableObjectCoordinator({ namespace: namespace(), keyPrefix: KEY_PREFIX + keyPrefix });
      const options = { limit, windowSec: WINDOW_SEC, namespace: quota, onError: "allow" } as const;
      const answer = await new RateLimiter(coordinator, options).limit(keyPrefix, asked);
      const { cause } = answer;
      if (cause !== undefined) this.#tellUnchecked(quota, cause);
      return { ...answer, isUnchecked: cause !== undefined };
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
