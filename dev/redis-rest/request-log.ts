/** The routes of the REST protocol; `path` is the form that has the command in the URL. */
export type Route = "command" | "path" | "pipeline" | "multi-exec" | "subscribe" | "psubscribe";

/** One HTTP request, as a test wants to see it: which commands it carried, never their arguments. */
export interface LoggedRequest {
  readonly route: Route;
  /** Names in capitals; empty for what was refused before it was parsed. */
  readonly commands: readonly string[];
  readonly status: number;
}

const MAX_KEPT = 10_000;

/** Counts HTTP requests by route, and keeps the latest. */
export class RequestLog {
  #counts = new Map<Route, number>();
  #kept: LoggedRequest[] = [];

  add(request: LoggedRequest): void {
    this.#counts.set(request.route, this.count(request.route) + 1);
    this.#kept.push(request);
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
  }

  /** HTTP requests since the start or the last `clear()`: of one route, or of all. */
  count(route?: Route): number {
    if (route !== undefined) return this.#counts.get(route) ?? 0;
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The latest requests, oldest first, 10,000 at most. */
  get latest(): readonly LoggedRequest[] {
    return this.#kept;
  }

  clear(): void {
    this.#counts.clear();
    this.#kept = [];
  }
}
