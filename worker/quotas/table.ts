import { CoordinationError } from "../../src/errors.js";
import { MAX_SEC } from "../../src/lib/validate.js";
import { isTenant, type RateLimitBinding, VariableError, type WorkerEnv } from "../env.js";

/** A limit on what one tenant may do. */
interface Quota {
  /** Infinity: off. */
  readonly byDefault: number;
  readonly most: number;
}

/**
 * The name of a quota, in `COORDINATOR_QUOTAS` and in the option `quotas`.
 *
 * - `requestsPerMinute`: calls. An operation of a batch is a call.
 * - `registrationsPerMinute`: registrations of groups and requests, repeated ones too.
 * - `openWaits`: waits and event streams that are open in one isolate.
 * - `tasksPerCall`: tasks that one registration lists.
 * - `maxTtlSec`: the longest timeout, idle timeout, TTL and window.
 * - `maxEarlySec`: how long early acks are kept at most.
 * - `redeliverPauseSec`: the pause between two redeliveries of one group or request.
 */
export type QuotaName =
  | "requestsPerMinute"
  | "registrationsPerMinute"
  | "openWaits"
  | "tasksPerCall"
  | "maxTtlSec"
  | "maxEarlySec"
  | "redeliverPauseSec";

/** Every quota, for each tenant. */
export const QUOTAS: Readonly<Record<QuotaName, Quota>> = {
  requestsPerMinute: { byDefault: Number.POSITIVE_INFINITY, most: 1_000_000 },
  registrationsPerMinute: { byDefault: Number.POSITIVE_INFINITY, most: 1_000_000 },
  openWaits: { byDefault: 2_000, most: 1_000_000 },
  tasksPerCall: { byDefault: 10_000, most: 100_000 },
  maxTtlSec: { byDefault: Number.POSITIVE_INFINITY, most: MAX_SEC },
  maxEarlySec: { byDefault: 3_600, most: MAX_SEC },
  redeliverPauseSec: { byDefault: 60, most: 86_400 },
};

/** Quotas that differ from their defaults: a whole number from 1, or `"off"`. */
export type QuotaSettings = { readonly [Name in QuotaName]?: number | "off" };

/** The quotas of one tenant. Infinity: off. */
export type Limits = { readonly [Name in QuotaName]: number };

interface Settings {
  readonly all: QuotaSettings;
  readonly tenants: ReadonlyMap<string, QuotaSettings>;
}

const VARIABLE = "COORDINATOR_QUOTAS";
const NAMES = Object.keys(QUOTAS) as QuotaName[];

/** The settings of the last read variable, cached: variables do not change while the Worker runs. */
let last: { readonly text: string; readonly settings: Settings } | undefined;

/**
 * Returns the quotas of a tenant: those of its own entry in `COORDINATOR_QUOTAS`, then those for all, then the option's, then
 * the defaults.
 *
 * @throws {CoordinationError} `misconfigured`, naming the variable, when it is malformed.
 */
export function limitsOf(env: WorkerEnv, option: QuotaSettings, tenant: string | undefined): Limits {
  const { all, tenants } = settingsOf(env);
  const own = tenant === undefined ? {} : (tenants.get(tenant) ?? {});
  const limits = NAMES.map((name) => {
    const value = own[name] ?? all[name] ?? option[name] ?? QUOTAS[name].byDefault;
    return [name, value === "off" ? Number.POSITIVE_INFINITY : value];
  });
  return Object.fromEntries(limits) as Limits;
}

/** @throws {CoordinationError} `misconfigured`, naming the variable or the binding. */
export function checkQuotaVariables(env: WorkerEnv): void {
  settingsOf(env);
  rateLimitBinding(env);
}

/** Returns the platform's rate limit, where one is bound. @throws {CoordinationError} `misconfigured`, naming the binding. */
export function rateLimitBinding({ COORDINATOR_RATE_LIMIT: binding }: WorkerEnv): RateLimitBinding | undefined {
  if (binding === undefined || typeof binding?.limit === "function") return binding;
  const message = "COORDINATOR_RATE_LIMIT must be a rate limit binding: [[ratelimits]] in wrangler.toml";
  throw new VariableError("COORDINATOR_RATE_LIMIT", message);
}

/** @throws {CoordinationError} `misconfigured`, for the option `quotas` of `createWorker`. */
export function checkQuotaOption(quotas: QuotaSettings): void {
  const fault = faultOf(quotas);
  if (fault !== undefined) throw new CoordinationError("misconfigured", `quotas: ${fault}`);
}

function settingsOf({ COORDINATOR_QUOTAS: text = "" }: { readonly COORDINATOR_QUOTAS?: unknown }): Settings {
  // A table in wrangler.toml is an object here.
  if (typeof text !== "string") throw malformed("it must be a JSON object, as a text");
  if (last?.text !== text) last = { text, settings: read(text) };
  return last.settings;
}

function read(text: string): Settings {
  if (text.trim() === "") return { all: {}, tenants: new Map() };
  const { tenants = {}, ...all } = objectOf(parsed(text));
  const own = Object.entries(objectOf(tenants));
  for (const [i, [tenant, quotas]] of own.entries()) {
    if (!isTenant(tenant)) throw malformed(`tenant ${i + 1} has no valid name`);
    checked(quotas);
  }
  return { all: checked(all), tenants: new Map(own as [string, QuotaSettings][]) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("it must be a JSON object");
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("it must be a JSON object");
  return value as Readonly<Record<string, unknown>>;
}

function checked(quotas: unknown): QuotaSettings {
  const fault = faultOf(objectOf(quotas));
  if (fault !== undefined) throw malformed(fault);
  return quotas as QuotaSettings;
}

/** Does not quote a name that is unknown: the variable may hold anything. */
function faultOf(quotas: object): string | undefined {
  for (const [name, value] of Object.entries(quotas)) {
    if (!Object.hasOwn(QUOTAS, name)) return `its fields are ${NAMES.join(", ")}, and tenants`;
    const { most } = QUOTAS[name as QuotaName];
    const isValid = value === "off" || (Number.isInteger(value) && value >= 1 && value <= most);
    if (!isValid) return `${name} must be a whole number from 1 to ${most}, or "off"`;
  }
  return undefined;
}

function malformed(fault: string): VariableError {
  return new VariableError(VARIABLE, `${VARIABLE} is malformed: ${fault}`);
}
