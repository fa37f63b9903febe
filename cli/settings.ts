import { EXIT, Failure } from "./exit.js";

/** The options that every command which calls a backend takes. */
export interface ConnectionOptions {
  readonly backend?: BackendName;
  readonly url?: string;
  readonly token?: string;
  readonly keyPrefix?: string;
  readonly allowHttp?: boolean;
}

export const BACKEND_NAMES = ["http", "upstash"] as const;
/** `http`: the Worker. `upstash`: its database, without a Worker. */
export type BackendName = (typeof BACKEND_NAMES)[number];

/** Where a command finds its groups. */
export interface Settings {
  readonly backend: BackendName;
  readonly url: string;
  readonly token: string;
  readonly keyPrefix: string | undefined;
  readonly allowHttp: boolean;
  /** The other backend that the environment names as well: a group that is not found may be there. */
  readonly other: BackendName | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

const VARIABLES = {
  http: { url: "COORDINATOR_URL", token: "COORDINATOR_TOKEN" },
  upstash: { url: "UPSTASH_REDIS_REST_URL", token: "UPSTASH_REDIS_REST_TOKEN" },
} as const;

/** The text of a first call without settings. */
export const FIRST_USE = `No backend is set. Set the variables of one of these:

  the Worker                     export COORDINATOR_URL=https://coordinator.example.workers.dev
                                 export COORDINATOR_TOKEN=…
  an Upstash Redis database      export UPSTASH_REDIS_REST_URL=https://….upstash.io
                                 export UPSTASH_REDIS_REST_TOKEN=…

The options --url and --token do the same for one call of the Worker.
To try the command without either, run: npx edge-coordinator dev`;

/**
 * Returns where the groups are: from the options first, then from the environment. The Worker's variables go before those of
 * Upstash, which many projects have for other reasons.
 *
 * @throws {Failure} with the exit code 2, naming what to set.
 */
export function settingsOf(options: ConnectionOptions, env: Env): Settings {
  const backend = options.backend ?? backendIn(options, env);
  const { url: urlName, token: tokenName } = VARIABLES[backend];
  const url = options.url ?? env[urlName] ?? "";
  const token = options.token ?? env[tokenName] ?? "";
  if (url === "") throw missing(urlName, "--url");
  if (token === "") throw missing(tokenName, "--token");
  if (backend === "http" && options.keyPrefix !== undefined) {
    throw new Failure(EXIT.usage, "--key-prefix is for Upstash: the Worker's token decides the prefix");
  }
  const otherName = backend === "http" ? "upstash" : "http";
  const other = isSet(env, otherName) ? otherName : undefined;
  return { backend, url, token, keyPrefix: options.keyPrefix, allowHttp: options.allowHttp === true, other };
}

function backendIn({ url, token }: ConnectionOptions, env: Env): BackendName {
  if (url !== undefined || token !== undefined) return "http";
  if (env.COORDINATOR_URL) return "http";
  if (env.UPSTASH_REDIS_REST_URL) return "upstash";
  if (env.COORDINATOR_TOKEN) return "http";
  throw new Failure(EXIT.usage, FIRST_USE);
}

function isSet(env: Env, backend: BackendName): boolean {
  return Boolean(env[VARIABLES[backend].url]);
}

function missing(variable: string, option: string): Failure {
  return new Failure(EXIT.usage, `${variable} is not set: set it, or give ${option}`);
}

/** Returns the backend in words, with its address. */
export function backendWords({ backend, url }: Pick<Settings, "backend" | "url">): string {
  return backend === "http" ? `the Worker at ${hostOf(url)}` : `the Redis database at ${hostOf(url)}`;
}

/** Returns the host alone: an address may hold a password. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "an address that is no URL";
}
