import type { ObjectNamespace } from "../src/backends/durable-object/options.js";
import { CoordinationError } from "../src/errors.js";
import { separated } from "../src/lib/separated.js";

/** A rate limit binding. @see https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/ */
export interface RateLimitBinding {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

/** The Worker's bindings, vars and secrets. */
export interface WorkerEnv {
  /** The binding of the class that extends `CoordinatorObject`. */
  readonly COORDINATOR?: ObjectNamespace;
  /** The bearer token. During a rotation several, separated by spaces. */
  readonly COORDINATOR_TOKEN?: string;
  /** JSON: each token with its tenant. A tenant sees only its own data. Several tokens may have one tenant. */
  readonly COORDINATOR_TOKENS?: string;
  /**
   * The keys that sign capabilities and callback URLs of `COORDINATOR_TOKEN`'s own data: `capk_…`, several separated by spaces
   * while they rotate. The first one signs.
   */
  readonly COORDINATOR_CAPABILITY_KEY?: string;
  /** JSON: each tenant with its keys, in the form of `COORDINATOR_CAPABILITY_KEY`. No two tenants may share a key. */
  readonly COORDINATOR_CAPABILITY_KEYS?: string;
  /**
   * The signing secrets of webhooks: `whsec_…`, several separated by spaces. Tenants share them unless `WEBHOOK_SECRETS` is set.
   */
  readonly WEBHOOK_SECRET?: string;
  /** JSON: each tenant with its signing secrets, in the form of `WEBHOOK_SECRET`. A tenant that is missing sends no webhooks. */
  readonly WEBHOOK_SECRETS?: string;
  /** The hosts that webhooks may be sent to: `host[:port]`, separated by commas. */
  readonly WEBHOOK_ALLOWED_HOSTS?: string;
  /** `"true"`: allows http and loopback too, for allowed hosts. For development with a local receiver. */
  readonly WEBHOOK_ALLOW_HTTP?: string;
  /** JSON: the quotas that differ from their defaults, and `tenants` with those of single tenants. */
  readonly COORDINATOR_QUOTAS?: string;
  /** A rate limit of the platform. It counts the requests of each tenant, in place of `requestsPerMinute`. */
  readonly COORDINATOR_RATE_LIMIT?: RateLimitBinding;
  /** `"off"`: the Worker has no dashboard. Default `"on"`. */
  readonly DASHBOARD?: string;
}

/** A valid token, and its key prefix. */
export interface LiveToken {
  readonly token: string;
  /** The prefix of all names that the token can access. */
  readonly keyPrefix: string;
}

const KEY_PREFIX = "coord:";
const MIN_TOKEN_LENGTH = 16;
export const MAX_TOKEN_LENGTH = 512;
/** The most tokens: each request's token is compared with all of them. */
const MAX_TOKENS = 100;
const TENANT = /^[A-Za-z0-9_.-]{1,64}$/;
/** The form of a tenant's name, in words. */
export const TENANT_FORM = "1 to 64 of A-Z, a-z, 0-9, full stop, hyphen and underscore";

export function isTenant(name: unknown): name is string {
  return typeof name === "string" && TENANT.test(name);
}

/** A variable that is missing or malformed. The message names the variable, and never holds its value. */
export class VariableError extends CoordinationError {
  constructor(
    readonly variable: keyof WorkerEnv,
    message: string,
  ) {
    super("misconfigured", message);
  }
}

/**
 * Returns the tokens that are valid now.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable, when there is none or one is malformed. A Worker without
 * a token refuses every request.
 */
export function liveTokens(env: WorkerEnv): LiveToken[] {
  const single = separated(env.COORDINATOR_TOKEN ?? "");
  const live: LiveToken[] = [];
  for (const token of single) {
    checkToken(token, "COORDINATOR_TOKEN");
    live.push({ token, keyPrefix: keyPrefixOf() });
  }
  for (const [token, tenant] of tenantsOf(env)) {
    checkToken(token, "COORDINATOR_TOKENS");
    live.push({ token, keyPrefix: keyPrefixOf(tenant) });
  }
  if (live.length === 0) {
    const places = "`wrangler secret put` one of them, or write it into .dev.vars for `wrangler dev`";
    throw new VariableError("COORDINATOR_TOKEN", `neither COORDINATOR_TOKEN nor COORDINATOR_TOKENS is set: ${places}`);
  }
  if (live.length > MAX_TOKENS) {
    const places = "COORDINATOR_TOKEN and COORDINATOR_TOKENS together";
    throw new VariableError("COORDINATOR_TOKENS", `${places} must hold at most ${MAX_TOKENS} tokens`);
  }
  if (new Set(live.map(({ token }) => token)).size < live.length) {
    throw new VariableError(
      "COORDINATOR_TOKENS",
      "a token is given twice: in COORDINATOR_TOKEN and COORDINATOR_TOKENS",
    );
  }
  return live;
}

/** Returns the key prefix of a tenant; of `COORDINATOR_TOKEN` without one. */
export function keyPrefixOf(tenant?: string): string {
  return tenant === undefined ? KEY_PREFIX : `${KEY_PREFIX}${tenant}:`;
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
  if (!keyPrefix.startsWith(KEY_PREFIX) || !keyPrefix.endsWith(":")) return undefined;
  const tenant = keyPrefix.slice(KEY_PREFIX.length, -1);
  return isTenant(tenant) ? tenant : undefined;
}

/**
 * Returns the fields of a variable that is a JSON object; none when it is not set.
 *
 * @throws {CoordinationError} `misconfigured`; the message says that the variable must hold `what`.
 */
export function entriesOf(
  env: WorkerEnv,
  variable: "COORDINATOR_TOKENS" | "COORDINATOR_CAPABILITY_KEYS" | "WEBHOOK_SECRETS",
  what: string,
): [name: string, value: unknown][] {
  const { [variable]: text = "" } = env;
  if (text.trim() === "") return [];
  let map: unknown;
  try {
    map = JSON.parse(text);
  } catch {
    // The JSON parser's own error quotes the secrets.
  }
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new VariableError(variable, `${variable} must be a JSON object of ${what}`);
  }
  return Object.entries(map);
}

function tenantsOf(env: WorkerEnv): [token: string, tenant: string][] {
  const entries = entriesOf(env, "COORDINATOR_TOKENS", "tokens with their tenants");
  return entries.map(([token, tenant], i) => {
    if (!isTenant(tenant)) {
      throw new VariableError("COORDINATOR_TOKENS", `COORDINATOR_TOKENS: tenant ${i + 1} must be ${TENANT_FORM}`);
    }
    return [token, tenant];
  });
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 for what a bearer token may look like. */
function checkToken(token: string, variable: "COORDINATOR_TOKEN" | "COORDINATOR_TOKENS"): void {
  if (token.length < MIN_TOKEN_LENGTH || token.length > MAX_TOKEN_LENGTH) {
    const length = `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} characters`;
    throw new VariableError(variable, `${variable}: a token must have ${length}`);
  }
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    const form = "A-Z, a-z, 0-9, and - . _ ~ + /, with = at its end";
    throw new VariableError(variable, `${variable}: a token must be of ${form}`);
  }
}
