import type { Webhooks } from "../src/delivery/handler.js";
import { CoordinationError } from "../src/errors.js";
import { parseAllowedHosts } from "../src/webhook/allowed-host.js";
import type { OptionNames } from "../src/webhook/option-names.js";
import { readSecrets } from "../src/webhook/secret.js";
import { namedSender } from "../src/webhook/sender.js";
import { entriesOf, tenantOf, VariableError, type WorkerEnv } from "./env.js";

/** The variables that may hold a secret. */
type SecretVariable = "WEBHOOK_SECRET" | "WEBHOOK_SECRETS";

/** The variables that may hold allowed hosts. */
type HostVariable = "WEBHOOK_ALLOWED_HOSTS" | "WEBHOOK_TENANT_HOSTS";

/** The value of a variable, or of a tenant in it. */
interface Setting<Variable> {
  readonly variable: Variable;
  readonly value: unknown;
}

/**
 * Returns the sender for the webhooks of a key prefix; `undefined` when webhooks are not configured, or not for its tenant.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable.
 */
export function webhooksOf(env: WorkerEnv, keyPrefix: string): Webhooks | undefined {
  const tenant = tenantOf(keyPrefix);
  const secrets = settingOf(env, tenant, "WEBHOOK_SECRET", "WEBHOOK_SECRETS");
  const hosts = settingOf(env, tenant, "WEBHOOK_ALLOWED_HOSTS", "WEBHOOK_TENANT_HOSTS");
  return areSetUp(env) ? senderOf(env, secrets, hosts) : undefined;
}

/** Returns the value for a tenant. While tenants have values of their own, no tenant has the shared one. */
function settingOf<Shared extends keyof WorkerEnv, Own extends TenantVariable>(
  env: WorkerEnv,
  tenant: string | undefined,
  shared: Shared,
  own: Own,
): Setting<Shared | Own> {
  const values = valuesIn(env, own);
  if (tenant === undefined || !isSet(env[own])) return { variable: shared, value: env[shared] };
  return { variable: own, value: values.get(tenant) };
}

/**
 * Checks the variables of every tenant.
 *
 * @throws {CoordinationError} `misconfigured`, naming the first variable that is missing or malformed.
 */
export function checkWebhookVariables(env: WorkerEnv): void {
  const secrets = valuesIn(env, "WEBHOOK_SECRETS");
  const hosts = valuesIn(env, "WEBHOOK_TENANT_HOSTS");
  if (!areSetUp(env)) return;
  checkSecrets({ variable: "WEBHOOK_SECRET", value: env.WEBHOOK_SECRET });
  for (const value of secrets.values()) checkSecrets({ variable: "WEBHOOK_SECRETS", value });
  checkHosts({ variable: "WEBHOOK_ALLOWED_HOSTS", value: env.WEBHOOK_ALLOWED_HOSTS });
  for (const value of hosts.values()) checkHosts({ variable: "WEBHOOK_TENANT_HOSTS", value });
}

function isSet(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

/** Returns whether webhooks are configured. */
function areSetUp(env: WorkerEnv): boolean {
  const secret = isSet(env.WEBHOOK_SECRET) ? "WEBHOOK_SECRET" : isSet(env.WEBHOOK_SECRETS) ? "WEBHOOK_SECRETS" : "";
  const hosts = isSet(env.WEBHOOK_ALLOWED_HOSTS)
    ? "WEBHOOK_ALLOWED_HOSTS"
    : isSet(env.WEBHOOK_TENANT_HOSTS)
      ? "WEBHOOK_TENANT_HOSTS"
      : "";
  if (secret === "" && hosts === "") return false;
  if (secret === "") {
    const message = `${hosts} is set, but neither WEBHOOK_SECRET nor WEBHOOK_SECRETS is`;
    throw new VariableError("WEBHOOK_SECRET", message);
  }
  if (hosts === "") {
    const message = `${secret} is set, but neither WEBHOOK_ALLOWED_HOSTS nor WEBHOOK_TENANT_HOSTS is`;
    throw new VariableError("WEBHOOK_ALLOWED_HOSTS", message);
  }
  if (!["", "true", "false"].includes(env.WEBHOOK_ALLOW_HTTP ?? "")) {
    throw new VariableError("WEBHOOK_ALLOW_HTTP", 'WEBHOOK_ALLOW_HTTP must be "true" or "false"');
  }
  return true;
}

type TenantVariable = "WEBHOOK_SECRETS" | "WEBHOOK_TENANT_HOSTS";

/** Returns the value of each tenant. */
function valuesIn(env: WorkerEnv, variable: TenantVariable): ReadonlyMap<string, unknown> {
  const what = variable === "WEBHOOK_SECRETS" ? "tenants with their secrets" : "tenants with their hosts";
  return new Map(entriesOf(env, variable, what));
}

/** Returns `undefined` without a secret or a host. */
function senderOf(
  env: WorkerEnv,
  secrets: Setting<SecretVariable>,
  hosts: Setting<HostVariable>,
): Webhooks | undefined {
  const secretText = checkSecrets(secrets);
  const allowedHosts = checkHosts(hosts);
  if (secretText === undefined || allowedHosts === undefined) return undefined;
  const allowHttp = env.WEBHOOK_ALLOW_HTTP === "true";
  return namedSender({ secrets: secretText, allowedHosts, allowHttp }, namesOf(secrets.variable, hosts.variable));
}

function checkSecrets({ variable, value }: Setting<SecretVariable>): string | undefined {
  const text = textOf({ variable, value });
  if (text !== undefined) blaming(variable, () => readSecrets(text, namesOf(variable, "WEBHOOK_ALLOWED_HOSTS")));
  return text;
}

function checkHosts({ variable, value }: Setting<HostVariable>): string | undefined {
  const text = textOf({ variable, value });
  if (text !== undefined) blaming(variable, () => parseAllowedHosts(text, namesOf("WEBHOOK_SECRET", variable)));
  return text;
}

/** Returns the text of a setting; `undefined` when it is not set. */
function textOf({ variable, value }: Setting<SecretVariable | HostVariable>): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw new VariableError(variable, `${variable} must have a text for each tenant`);
  return value.trim() === "" ? undefined : value;
}

function namesOf(secrets: SecretVariable, allowedHosts: HostVariable): OptionNames {
  return {
    secrets,
    allowedHosts,
    allowHttp: 'WEBHOOK_ALLOW_HTTP to "true"',
    entryOf: (list, index, count) => (count === 1 ? list : `entry ${index + 1} of ${list}`),
  };
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
    const isOwn = tenantOf(keyPrefix) === undefined;
    const secret = isOwn ? "WEBHOOK_SECRET" : "WEBHOOK_SECRET, or WEBHOOK_SECRETS for its tenant,";
    const hosts = isOwn ? "WEBHOOK_ALLOWED_HOSTS" : "WEBHOOK_ALLOWED_HOSTS, or WEBHOOK_TENANT_HOSTS for its tenant";
    throw new CoordinationError(
      "unsupported",
      `this Worker sends no webhooks for this token: set ${secret} and ${hosts}`,
    );
  }
  for (const url of urls) webhooks.check(url);
}
