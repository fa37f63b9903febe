/** What the global setup hands to every test, by `inject(…)`. */
declare module "vitest" {
  interface ProvidedContext {
    /** `redis://127.0.0.1:<port>`: the redis-server of this run. */
    redisUrl: string;
    /** The REST server in front of it. */
    restUrl: string;
    restToken: string;
    /** `{ T5: 1000 }` of `RUNS_T5=1000`: how often a long test runs. */
    runs: Readonly<Record<string, number>>;
  }
}

export {};
