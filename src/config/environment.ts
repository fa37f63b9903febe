import { misconfigured } from "../lib/misconfigured.js";

/** Variables and bindings by name: the `env` of a Worker, `process.env`. */
type Variables = Readonly<Record<string, unknown>>;

/** Returns the given environment alone. Without one, returns `process.env` where the platform has it. */
export function environmentOf(env: object | undefined): Variables {
  if (env !== undefined) return Object(env);
  // By way of globalThis: it exists on Node, Vercel, Deno and Bun, and is undefined on strict edge platforms.
  const { process } = globalThis as { readonly process?: { readonly env?: object } };
  return Object(process?.env);
}

/** A setting that may be left to the environment. */
export interface Setting {
  /** The field of the config. */
  readonly field: string;
  readonly given: string | undefined;
  readonly variable: string;
}

/** Returns the setting as given, or else the variable. An empty variable counts as not set: many deployment forms make those. */
export function settingOf(env: Variables, { field, given, variable }: Setting): string {
  const value = given ?? env[variable];
  if (value === undefined || value === "") {
    throw misconfigured(
      `${field} is not set: give it in the config, or ${variable} in the environment (on Workers: hand in env)`,
    );
  }
  if (typeof value !== "string") throw misconfigured(`${variable} in env must be a string`);
  return value;
}
