import type { ObjectNamespace } from "../src/backends/durable-object/options.js";
import { CoordinationError } from "../src/errors.js";
import { DEFAULT_KEY_PREFIX } from "../src/runtime/placement.js";

/** A rate limit binding. @see https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ */
export interface RateLimitBinding {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

/** The Worker's bindings, vars and secrets. */
export interface WorkerEnv {
  /** The binding of the class that extends `CoordinatorObject`. */
  readonly COORDINATOR?: ObjectNamespace;
  /**
   * The bearer token. During a rotation several, separated by spaces. Here and in `COORDINATOR_TOKENS`, a token may be given as
   * `sha256:` and its digest in hexadecimal digits or base64url.
   */
  readonly COORDINATOR_TOKEN?: string;
  /**
   * JSON: each token with its tenant. A tenant sees only its own data. Several tokens may have one tenant.
   * `{ "tenant": "…", "whileSuspended": true }` in place of a tenant's name: the token opens the tenant also while it is suspended.
   *
   * `COORDINATOR_TOKENS_1`, `COORDINATOR_TOKENS_2` and so on hold more of them, in the same form, since a variable holds 5 KB. At
   * most 2,000 tokens in all.
   */
  readonly COORDINATOR_TOKENS?: string;
  /**
   * The keys that sign capabilities and callback URLs of `COORDINATOR_TOKEN`'s own data: `capk_…`, several separated by spaces
   * while they rotate. The first one signs.
   */
  readonly COORDINATOR_CAPABILITY_KEY?: string;
  /** JSON: each tenant with its keys, in the form of `COORDINATOR_CAPABILITY_KEY`. No two tenants may share a key. */
  readonly COORDINATOR_CAPABILITY_KEYS?: string;
  /**
   * Tenants whose calls are refused, separated by spaces or commas, and whose handlers and webhooks wait. A token with
   * `whileSuspended` still opens the tenant.
   */
  readonly COORDINATOR_SUSPENDED?: string;
  /**
   * The signing secrets of webhooks: `whsec_…`, several separated by spaces. Tenants share them unless `WEBHOOK_SECRETS` is set.
   */
  readonly WEBHOOK_SECRET?: string;
  /** JSON: each tenant with its signing secrets, in the form of `WEBHOOK_SECRET`. A tenant that is missing sends no webhooks. */
  readonly WEBHOOK_SECRETS?: string;
  /** The hosts that webhooks may be sent to: `host[:port][/prefix/]`, separated by commas. */
  readonly WEBHOOK_ALLOWED_HOSTS?: string;
  /**
   * JSON: each tenant with its hosts, in the form of `WEBHOOK_ALLOWED_HOSTS`, which then is for `COORDINATOR_TOKEN`'s own data. A
   * tenant that is missing sends no webhooks.
   */
  readonly WEBHOOK_TENANT_HOSTS?: string;
  /** `"true"`: allows http and loopback too, for allowed hosts. For development with a local receiver. */
  readonly WEBHOOK_ALLOW_HTTP?: string;
  /** JSON: the quotas that differ from their defaults, and `tenants` with those of single tenants. */
  readonly COORDINATOR_QUOTAS?: string;
  /** A rate limit of the platform. It counts the requests of each tenant, in place of `requestsPerMinute`. */
  readonly COORDINATOR_RATE_LIMIT?: RateLimitBinding;
  /** `"off"`: the Worker has no dashboard. Default `"on"`. */
  readonly DASHBOARD?: string;
}

const TENANT = /^[A-Za-z0-9_.-]{1,64}$/;
/** The form of a tenant's name, in words. */
export const TENANT_FORM = "1 to 64 of A-Z, a-z, 0-9, full stop, hyphen and underscore";

export function isTenant(name: unknown): name is string {
  return typeof name === "string" && TENANT.test(name);
}

/**
 * The variables that hold more tokens. Not a part of `WorkerEnv`: an index signature there would refuse each `Env` that does not
 * extend it.
 */
export type MoreTokens = `COORDINATOR_TOKENS_${number}`;

/** A variable that is missing or malformed. The message names the variable, and never holds its value. */
export class VariableError extends CoordinationError {
  constructor(
    readonly variable: keyof WorkerEnv | MoreTokens,
    message: string,
  ) {
    super("misconfigured", message);
  }
}

/** Returns the key prefix of a tenant; of `COORDINATOR_TOKEN` without one. */
export function keyPrefixOf(tenant?: string): string {
  return tenant === undefined ? DEFAULT_KEY_PREFIX : `${DEFAULT_KEY_PREFIX}${tenant}:`;
}

/**
 * Returns whether the Worker serves its dashboard.
 *
 * @throws {CoordinationError} `misconfigured` for any value but `on` and `off`.
 */
export function isDashboardOn({ DASHBOARD = "on" }: WorkerEnv): boolean {
  if (DASHBOARD !== "on" && DASHBOARD !== "off") {
    throw new VariableError("DASHBOARD", 'DASHBOARD must be "on" or "off"');
  }
  return DASHBOARD === "on";
}

/** Returns the tenant of a key prefix; `undefined` for that of `COORDINATOR_TOKEN`, and for a malformed one. */
export function tenantOf(keyPrefix: string): string | undefined {
  if (!keyPrefix.startsWith(DEFAULT_KEY_PREFIX) || !keyPrefix.endsWith(":")) return undefined;
  const tenant = keyPrefix.slice(DEFAULT_KEY_PREFIX.length, -1);
  return isTenant(tenant) ? tenant : undefined;
}

/**
 * Returns the fields of a variable that is a JSON object; none when it is not set.
 *
 * @throws {CoordinationError} `misconfigured`; the message says that the variable must hold `what`.
 */
export function entriesOf(
  env: WorkerEnv,
  variable:
    | "COORDINATOR_TOKENS"
    | MoreTokens
    | "COORDINATOR_CAPABILITY_KEYS"
    | "WEBHOOK_SECRETS"
    | "WEBHOOK_TENANT_HOSTS",
  what: string,
): [name: string, value: unknown][] {
  const { [variable]: text = "" } = env as Readonly<Record<string, unknown>>;
  let map: unknown;
  // A variable of another type, such as an object in wrangler.toml, is as malformed as a text that is no JSON.
  if (typeof text === "string") {
    if (text.trim() === "") return [];
    try {
      map = JSON.parse(text);
    } catch {
      // The JSON parser's own error quotes the secrets.
    }
  }
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new VariableError(variable, `${variable} must be a JSON object of ${what}`);
  }
  return Object.entries(map);
}
