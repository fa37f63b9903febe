/** The backends that need no entry in `backends`. */
export type BuiltInBackend = "memory" | "upstash" | "durable-object" | "http";

/** Where an `UpstashCoordinator` finds its database, and how it keeps keys there. */
export interface UpstashConfig {
  /** The REST address: https, or http in development. Default: `UPSTASH_REDIS_REST_URL` of the environment. */
  readonly url?: string | undefined;
  /** A secret, better left to the environment. Default: `UPSTASH_REDIS_REST_TOKEN` of the environment. */
  readonly token?: string | undefined;
  /** What all keys begin with: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys outlive their last write, in seconds: 0 (for ever) to a year. Default 3,600. */
  readonly ttlSec?: number | undefined;
  /**
   * Whether scripts say that they lock their own keys only, which a stock Redis refuses. Default `"auto"`: says so until the
   * server refuses it.
   */
  readonly keyLocking?: "auto" | boolean | undefined;
  /** Development only, default false: http to any host. The token then travels in the open. */
  readonly allowHttp?: boolean | undefined;
  /** How long one HTTP request may take, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly requestTimeoutMs?: number | undefined;
}

/** Which objects a `DurableObjectCoordinator` calls. */
export interface DurableObjectConfig {
  /** The name of the binding in `env`. Default `"COORDINATOR"`. A `namespace` that is handed in takes its place. */
  readonly binding?: string | undefined;
  /** What the name of every object begins with: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys outlive their last write, in seconds: 0 (for ever) to a year. Default 3,600. */
  readonly ttlSec?: number | undefined;
  /** Where an object is made that does not exist yet, such as `"weur"`. A wish, not a promise. Default: near who calls first. */
  readonly locationHint?: string | undefined;
  /** Where the objects must stay, such as `"eu"`. The same key in another jurisdiction is another object. Default: anywhere. */
  readonly jurisdiction?: string | undefined;
  /** How long an operation may take with all its attempts, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly callTimeoutMs?: number | undefined;
}

/** Which Worker an `HttpCoordinator` talks to. */
export interface HttpConfig {
  /** Where the Worker answers: https, or http to this machine. Default: `COORDINATOR_URL` of the environment. */
  readonly url?: string | undefined;
  /** A secret, better left to the environment. Default: `COORDINATOR_TOKEN` of the environment. */
  readonly token?: string | undefined;
  /** How long raw keys outlive their last write, in seconds: more than 0, at most a year. Default 3,600. */
  readonly ttlSec?: number | undefined;
  /** How long one request may take, in milliseconds: 1 to 300,000. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Development only, default false: http to any host. The token then travels in the open. */
  readonly allowHttp?: boolean | undefined;
}

/** What a coordinator is made from. Every field is optional, and a field that is not listed is refused. */
export interface CoordinatorConfig {
  /**
   * A built-in backend, or a name in the `backends` of `createCoordinator`. Default `"memory"`, which no other process sees:
   * nothing that stands in the environment changes the backend.
   */
  readonly backend?: BuiltInBackend | (string & Record<never, never>) | undefined;
  /** Read by the backend `"upstash"` alone. */
  readonly upstash?: UpstashConfig | undefined;
  /** Read by the backend `"durable-object"` alone. */
  readonly durableObject?: DurableObjectConfig | undefined;
  /** Read by the backend `"http"` alone. */
  readonly http?: HttpConfig | undefined;
  /** The deadline of groups that give none, in seconds: 0 (none) to a year. Default 1,800. */
  readonly completionTimeoutSec?: number | undefined;
  /** Whatever a custom backend wants to be told; passed on as it is. Default `{}`. */
  readonly customParams?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * A config that was checked, with every default in place. It is a `CoordinatorConfig` as well. A `url` or `token` that is left
 * to the environment is not in it, and a place that is left to the platform neither.
 */
export interface ParsedConfig {
  /** The chosen backend. Whether `backends` has a custom one is known only to `createCoordinator`. */
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
  /** 0: none. */
  readonly completionTimeoutSec: number;
  readonly customParams: Readonly<Record<string, unknown>>;
}
