import type { ObjectNamespace } from "../src/backends/durable-object/options.js";
import { CoordinationError } from "../src/errors.js";

/** The Worker's bindings, vars and secrets. */
export interface WorkerEnv {
  /** The binding of the class that extends `CoordinatorObject`. */
  readonly COORDINATOR?: ObjectNamespace;
  /** The bearer token; several, separated by spaces, while one is replaced. */
  readonly COORDINATOR_TOKEN?: string;
  /** JSON: each token with its tenant, who sees what is his alone. Several tokens may have one tenant. */
  readonly COORDINATOR_TOKENS?: string;
  /** What signs webhooks: `whsec_…`, several separated by spaces. Tenants have it in common, unless they have their own. */
  readonly WEBHOOK_SECRET?: string;
  /** JSON: each tenant with what signs its webhooks, in the form of `WEBHOOK_SECRET`. One that is not in it sends none. */
  readonly WEBHOOK_SECRETS?: string;
  /** `host[:port]`, separated by commas; webhooks go nowhere else. */
  readonly WEBHOOK_ALLOWED_HOSTS?: string;
  /** `"true"`: http and loopback too, to an allowed host. For development: a local receiver needs it. */
  readonly WEBHOOK_ALLOW_HTTP?: string;
}

/** A token that opens the Worker, and what it opens. */
export interface LiveToken {
  readonly token: string;
  /** Begins the name of everything that the token's bearer can reach. */
  readonly keyPrefix: string;
}

const KEY_PREFIX = "coord:";
const MIN_TOKEN_LENGTH = 16;
export const MAX_TOKEN_LENGTH = 512;
/** Every request is compared with all of them. */
const MAX_TOKENS = 100;
const TENANT = /^[A-Za-z0-9_.-]{1,64}$/;
/** What a tenant's name must be, in words. */
export const TENANT_FORM = "1 to 64 of A-Z, a-z, 0-9, full stop, hyphen and underscore";

export function isTenant(name: unknown): name is string {
  return typeof name === "string" && TENANT.test(name);
}

/** A variable that is missing or malformed. The message names it too, and holds nothing of its value. */
export class VariableError extends CoordinationError {
  constructor(
    readonly variable: keyof WorkerEnv,
    message: string,
  ) {
    super("misconfigured", message);
  }
}

/**
 * The tokens that are valid now.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable, when there is none or one is malformed: a Worker
 * without a token is closed.
 */
export function liveTokens(env: WorkerEnv): LiveToken[] {
  const single = (env.COORDINATOR_TOKEN ?? "").split(/\s+/).filter((token) => token !== "");
  const live: LiveToken[] = [];
  for (const token of single) {
    checkToken(token, "COORDINATOR_TOKEN");
    live.push({ token, keyPrefix: KEY_PREFIX });
  }
  for (const [token, tenant] of tenantsOf(env)) {
    checkToken(token, "COORDINATOR_TOKENS");
    live.push({ token, keyPrefix: `${KEY_PREFIX}${tenant}:` });
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

/** Returns the tenant of a key prefix; `undefined` for that of `COORDINATOR_TOKEN`, and for one that no token opens. */
export function tenantOf(keyPrefix: string): string | undefined {
  if (!keyPrefix.startsWith(KEY_PREFIX) || !keyPrefix.endsWith(":")) return undefined;
  const tenant = keyPrefix.slice(KEY_PREFIX.length, -1);
  return isTenant(tenant) ? tenant : undefined;
}

/**
 * The fields of a variable that is a JSON object; none when it is not set.
 *
 * @throws {CoordinationError} `misconfigured`, with `what` it must be.
 */
export function entriesOf(
  env: WorkerEnv,
  variable: "COORDINATOR_TOKENS" | "WEBHOOK_SECRETS",
  what: string,
): [name: string, value: unknown][] {
  const { [variable]: text = "" } = env;
  if (text.trim() === "") return [];
  let map: unknown;
  try {
    map = JSON.parse(text);
  } catch {
    // The parser's own error quotes the secrets.
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
