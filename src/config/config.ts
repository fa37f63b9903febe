import type { Duration } from "../lib/duration.js";

/** The backends that need no entry in `backends`. */
export type BuiltInBackend = "memory" | "upstash" | "durable-object" | "http";

/** Where an `UpstashCoordinator` finds its database, and how it stores keys there. */
export interface UpstashConfig {
  /** The REST address: https, or http in development. Default: `UPSTASH_REDIS_REST_URL` of the environment. */
  readonly url?: string | undefined;
  /** The token. A secret, so prefer the environment. Default: `UPSTASH_REDIS_REST_TOKEN` of the environment. */
  readonly token?: string | undefined;
  /** The prefix of all keys: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys are kept after their last write, in seconds, at most a year. 0: for ever. Default 3,600. */
  readonly ttlSec?: Duration | undefined;
  /**
   * Whether scripts declare that they lock only their own keys. A stock Redis refuses this flag. Default `"auto"`: sets it until
   * the server refuses it.
   */
  readonly keyLocking?: "auto" | boolean | undefined;
  /** Development only, default false: allows http to any host. The token is then sent unencrypted. */
  readonly allowHttp?: boolean | undefined;
  /** How long one HTTP request may take, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly requestTimeoutMs?: Duration | undefined;
}

/** Which objects a `DurableObjectCoordinator` calls. */
export interface DurableObjectConfig {
  /** The name of the binding in `env`. Default `"COORDINATOR"`. The option `namespace` takes precedence. */
  readonly binding?: string | undefined;
  /** The prefix of every object's name: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys are kept after their last write, in seconds, at most a year. 0: for ever. Default 3,600. */
  readonly ttlSec?: Duration | undefined;
  /**
   * Where a new object is created, such as `"weur"`. A hint: the platform may choose another place. Default: near the first
   * caller.
   */
  readonly locationHint?: string | undefined;
  /** Where the objects must stay, such as `"eu"`. The same key in another jurisdiction is another object. Default: anywhere. */
  readonly jurisdiction?: string | undefined;
  /** How long an operation may take with all its attempts, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly callTimeoutMs?: Duration | undefined;
}

/** Which Worker an `HttpCoordinator` calls. */
export interface HttpConfig {
  /** The Worker's address: https, or http to a loopback address. Default: `COORDINATOR_URL` of the environment. */
  readonly url?: string | undefined;
  /** The token. A secret, so prefer the environment. Default: `COORDINATOR_TOKEN` of the environment. */
  readonly token?: string | undefined;
  /** How long raw keys are kept after their last write, in seconds: more than 0, at most a year. Default 3,600. */
  readonly ttlSec?: Duration | undefined;
  /** How long one request may take, in milliseconds: 1 to 300,000. Default 30,000. */
  readonly requestTimeoutMs?: Duration | undefined;
  /** Development only, default false: allows http to any host. The token is then sent unencrypted. */
  readonly allowHttp?: boolean | undefined;
}

/** The configuration of a coordinator. Every field is optional. Unknown fields are refused. */
export interface CoordinatorConfig {
  /**
   * A built-in backend, or a name in the `backends` of `createCoordinator`. Default `"memory"`, which no other process sees.
   * Environment variables do not change the backend.
   */
  readonly backend?: BuiltInBackend | (string & Record<never, never>) | undefined;
  /** Only for the backend `"upstash"`. */
  readonly upstash?: UpstashConfig | undefined;
  /** Only for the backend `"durable-object"`. */
  readonly durableObject?: DurableObjectConfig | undefined;
  /** Only for the backend `"http"`. */
  readonly http?: HttpConfig | undefined;
  /** The deadline of groups that set none, in seconds: 0 (none) to a year. Default 1,800. */
  readonly completionTimeoutSec?: Duration | undefined;
  /** Parameters of a custom backend, passed on unchanged. Default `{}`. */
  readonly customParams?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * A checked config with every default filled in. It is a `CoordinatorConfig` as well. Does not hold a `url` or `token` from
 * the environment, nor a `locationHint` or `jurisdiction` that was left out.
 */
export interface ParsedConfig {
  /** The chosen backend. `createCoordinator` checks whether `backends` has a custom one of this name. */
  readonly backend: string;
  readonly upstash: {
    readonly url?: string | undefined;
    readonly token?: string | undefined;
    readonly keyPrefix: string;
    readonly ttlSec: number;
    readonly keyLocking: "auto" | boolean;
    readonly allowHttp: boolean;
    readonly requestTimeoutMs: number;
  };
  readonly durableObject: {
    readonly binding: string;
    readonly keyPrefix: string;
    readonly ttlSec: number;
    readonly locationHint?: string | undefined;
    readonly jurisdiction?: string | undefined;
    readonly callTimeoutMs: number;
  };
  readonly http: {
    readonly url?: string | undefined;
    readonly token?: string | undefined;
    readonly ttlSec: number;
    readonly requestTimeoutMs: number;
    readonly allowHttp: boolean;
  };
  /** In seconds; 0 for none. */
  readonly completionTimeoutSec: number;
  readonly customParams: Readonly<Record<string, unknown>>;
}
