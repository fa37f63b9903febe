import { CoordinationError } from "../src/errors.js";
import type { Webhooks } from "../src/trackers/handler.js";
import { webhookSender } from "../src/webhook/index.js";
import { entriesOf, misconfigured, tenantOf, type WorkerEnv } from "./env.js";

/**
 * What sends the webhooks of what a key prefix holds; `undefined` when they are not set up, or not for its tenant.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable.
 */
export function webhooksOf(env: WorkerEnv, keyPrefix: string): Webhooks | undefined {
  const { WEBHOOK_ALLOWED_HOSTS: allowedHosts = "", WEBHOOK_ALLOW_HTTP: allowHttp = "" } = env;
  const { secrets, variable } = secretsOf(env, tenantOf(keyPrefix));
  const isSetUp = [env.WEBHOOK_SECRET, env.WEBHOOK_SECRETS].some((value = "") => value.trim() !== "");
  if (!isSetUp && allowedHosts.trim() === "") return undefined;
  if (!isSetUp) throw misconfigured("WEBHOOK_ALLOWED_HOSTS is set, but WEBHOOK_SECRET is not");
  if (allowedHosts.trim() === "") throw misconfigured(`${variable} is set, but WEBHOOK_ALLOWED_HOSTS is not`);
  if (!["", "true", "false"].includes(allowHttp)) throw misconfigured('WEBHOOK_ALLOW_HTTP must be "true" or "false"');
  if (secrets.trim() === "") return undefined;
  try {
    return webhookSender({ secrets, allowedHosts, allowHttp: allowHttp === "true" });
  } catch (error) {
    throw error instanceof CoordinationError ? misconfigured(inVariables(error.message, variable)) : error;
  }
}

/** What signs a tenant's webhooks. Where tenants have secrets of their own, nobody signs with another's. */
function secretsOf(env: WorkerEnv, tenant: string | undefined): { secrets: string; variable: string } {
  const { WEBHOOK_SECRET = "", WEBHOOK_SECRETS = "" } = env;
  const own = entriesOf(WEBHOOK_SECRETS, "WEBHOOK_SECRETS must be a JSON object of tenants with their secrets");
  if (tenant === undefined || WEBHOOK_SECRETS.trim() === "")
    return { secrets: WEBHOOK_SECRET, variable: "WEBHOOK_SECRET" };
  const secrets = own.find(([name]) => name === tenant)?.[1] ?? "";
  if (typeof secrets !== "string") throw misconfigured("WEBHOOK_SECRETS must have a text for each tenant");
  return { secrets, variable: "WEBHOOK_SECRETS" };
}

/** The sender's messages name its options, and a place in a list: here the lists are variables. */
function inVariables(message: string, variable: string): string {
  return message
    .replace(/^secrets\b(?:\[\d+\])?/, variable)
    .replace(/^allowedHosts\b(?:\[\d+\])?/, "WEBHOOK_ALLOWED_HOSTS");
}

/**
 * Refuses webhooks that would never be sent, before anything is stored.
 *
 * @throws {CoordinationError} `invalid_input` for a URL that is not allowed, `unsupported` when webhooks are not set up,
 * `misconfigured` when they are set up wrongly.
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
