import type { Webhooks } from "../src/delivery/handler.js";
import { CoordinationError } from "../src/errors.js";
import { parseAllowedHosts } from "../src/webhook/allowed-host.js";
import type { OptionNames } from "../src/webhook/option-names.js";
import { readSecrets } from "../src/webhook/secret.js";
import { namedSender } from "../src/webhook/sender.js";
import { entriesOf, tenantOf, VariableError, type WorkerEnv } from "./env.js";

/** The variables that may hold a secret. */
type SecretVariable = "WEBHOOK_SECRET" | "WEBHOOK_SECRETS";

/**
 * Returns the sender for the webhooks of a key prefix; `undefined` when webhooks are not configured, or not for its tenant.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable.
 */
export function webhooksOf(env: WorkerEnv, keyPrefix: string): Webhooks | undefined {
  const tenant = tenantOf(keyPrefix);
  const own = ownSecrets(env);
  // When tenants have their own secrets, no tenant signs with the shared one.
  const isOwn = tenant !== undefined && isSet(env.WEBHOOK_SECRETS);
  if (!areSetUp(env)) return undefined;
  return isOwn
    ? senderOf(env, own.get(tenant), "WEBHOOK_SECRETS")
    : senderOf(env, env.WEBHOOK_SECRET, "WEBHOOK_SECRET");
}

/**
 * Checks the variables of every tenant.
 *
 * @throws {CoordinationError} `misconfigured`, naming the first variable that is missing or malformed.
 */
export function checkWebhookVariables(env: WorkerEnv): void {
  const own = ownSecrets(env);
  if (!areSetUp(env)) return;
  senderOf(env, env.WEBHOOK_SECRET, "WEBHOOK_SECRET");
  for (const secrets of own.values()) senderOf(env, secrets, "WEBHOOK_SECRETS");
}

function isSet(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

/** Returns whether webhooks are configured. */
function areSetUp(env: WorkerEnv): boolean {
  const secret = isSet(env.WEBHOOK_SECRET) ? "WEBHOOK_SECRET" : isSet(env.WEBHOOK_SECRETS) ? "WEBHOOK_SECRETS" : "";
  const hasHosts = isSet(env.WEBHOOK_ALLOWED_HOSTS);
  if (secret === "" && !hasHosts) return false;
  if (secret === "") {
    const message = "WEBHOOK_ALLOWED_HOSTS is set, but neither WEBHOOK_SECRET nor WEBHOOK_SECRETS is";
    throw new VariableError("WEBHOOK_SECRET", message);
  }
  if (!hasHosts) throw new VariableError("WEBHOOK_ALLOWED_HOSTS", `${secret} is set, but WEBHOOK_ALLOWED_HOSTS is not`);
  if (!["", "true", "false"].includes(env.WEBHOOK_ALLOW_HTTP ?? "")) {
    throw new VariableError("WEBHOOK_ALLOW_HTTP", 'WEBHOOK_ALLOW_HTTP must be "true" or "false"');
  }
  return true;
}

/** Returns the secrets of each tenant. */
function ownSecrets(env: WorkerEnv): ReadonlyMap<string, unknown> {
  return new Map(entriesOf(env, "WEBHOOK_SECRETS", "tenants with their secrets"));
}

/** Returns `undefined` without a secret. */
function senderOf(env: WorkerEnv, secrets: unknown, variable: SecretVariable): Webhooks | undefined {
  if (secrets === undefined) return undefined;
  if (typeof secrets !== "string") throw new VariableError(variable, `${variable} must have a text for each tenant`);
  if (secrets.trim() === "") return undefined;
  const names: OptionNames = {
    secrets: variable,
    allowedHosts: "WEBHOOK_ALLOWED_HOSTS",
    allowHttp: 'WEBHOOK_ALLOW_HTTP to "true"',
    entryOf: (list, index, count) => (count === 1 ? list : `entry ${index + 1} of ${list}`),
  };
  const { WEBHOOK_ALLOWED_HOSTS: allowedHosts = "", WEBHOOK_ALLOW_HTTP } = env;
  blaming(variable, () => readSecrets(secrets, names));
  blaming("WEBHOOK_ALLOWED_HOSTS", () => parseAllowedHosts(allowedHosts, names));
  return namedSender({ secrets, allowedHosts, allowHttp: WEBHOOK_ALLOW_HTTP === "true" }, names);
}

function blaming(variable: keyof WorkerEnv, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    throw error instanceof CoordinationError ? new VariableError(variable, error.message) : error;
  }
}

/**
 * Refuses webhooks that would never be sent, before anything is stored.
 *
 * @throws {CoordinationError} `invalid_input` for a URL that is not allowed, `unsupported` when webhooks are not configured,
 * `misconfigured` when their variables are malformed.
 */
export function checkWebhookUrls(env: WorkerEnv, keyPrefix: string, urls: readonly string[]): void {
  if (urls.length === 0) return;
  const webhooks = webhooksOf(env, keyPrefix);
  if (webhooks === undefined) {
    const secret =
      tenantOf(keyPrefix) === undefined ? "WEBHOOK_SECRET" : "WEBHOOK_SECRET, or WEBHOOK_SECRETS for its tenant,";
    throw new CoordinationError(
      "unsupported",
      `this Worker sends no webhooks for this token: set ${secret} and WEBHOOK_ALLOWED_HOSTS`,
    );
  }
  for (const url of urls) webhooks.check(url);
}
