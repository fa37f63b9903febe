import type { Coordinator } from "../coordinator.js";
import { misconfigured } from "../lib/misconfigured.js";
import type { BuiltInBackend, ParsedConfig } from "./config.js";

/** A custom backend: a class with this static method, a module that exports it, or a plain object. */
export interface CustomBackend {
  /**
   * Returns the coordinator. It should read `completionTimeoutSec` and its own `customParams`, and decides how to use them. An
   * error that it throws becomes the `cause` of a `misconfigured` error.
   */
  fromConfig(config: ParsedConfig): Coordinator | Promise<Coordinator>;
}

/** Custom backends by name. */
export type CustomBackends = Readonly<Record<string, CustomBackend>>;

const BUILT_IN: Readonly<Record<BuiltInBackend, true>> = {
  memory: true,
  upstash: true,
  "durable-object": true,
  http: true,
};

/** The methods that every coordinator must have. */
type Method = {
  [K in keyof Coordinator]-?: Coordinator[K] extends (...args: never) => unknown ? K : never;
}[keyof Coordinator];

const METHODS: Readonly<Record<Method, true>> = {
  incr: true,
  getInt: true,
  setIfAbsent: true,
  sadd: true,
  srem: true,
  scard: true,
  rpush: true,
  lrange: true,
  expire: true,
  delete: true,
  run: true,
  watch: true,
  onWake: true,
  list: true,
};

/** Refuses a custom backend with a built-in name, chosen or not: only one of the two could be reached. */
export function checkNames(backends: CustomBackends): void {
  if (typeof backends !== "object" || backends === null) throw misconfigured("backends must be an object");
  for (const name of Object.keys(backends)) {
    if (Object.hasOwn(BUILT_IN, name)) throw misconfigured(`backends.${name} has the name of a built-in backend`);
  }
}

/** Returns the coordinator of the custom backend that the config chooses. */
export async function fromCustom(config: ParsedConfig, backends: CustomBackends): Promise<Coordinator> {
  const name = config.backend;
  if (!Object.hasOwn(backends, name)) throw unknownName(backends);
  const backend: Partial<CustomBackend> | null | undefined = backends[name];
  if (typeof backend?.fromConfig !== "function") throw misconfigured(`backends.${name} lacks fromConfig(config)`);
  let made: unknown;
  try {
    made = await backend.fromConfig(config);
  } catch (error) {
    // The message is the user's, and may quote values of customParams.
    throw misconfigured(`backends.${name}.fromConfig threw, see the cause`, error);
  }
  return checked(made, name);
}

/** Does not show the value of `backend`: it may be a secret in the wrong field. */
function unknownName(backends: CustomBackends): Error {
  const own = Object.keys(backends).join(", ") || "there is none";
  return misconfigured(`backend must be ${Object.keys(BUILT_IN).join(", ")}, or a name in backends (${own})`);
}

function checked(made: unknown, name: string): Coordinator {
  if (made === undefined || made === null) throw misconfigured(`backends.${name}.fromConfig returned nothing`);
  const lacking = Object.keys(METHODS).find((method) => typeof Object(made)[method] !== "function");
  if (lacking !== undefined) {
    throw misconfigured(`backends.${name}.fromConfig returned no coordinator: it lacks ${lacking}()`);
  }
  return made as Coordinator;
}
