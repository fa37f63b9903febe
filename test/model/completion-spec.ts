/** The input of a registration, besides its id. */
export interface Spec {
  readonly tasks: number | readonly string[];
  /** The target of its ends: a handler that fails so often first, or a handler that no instance has. */
  readonly target: Target | undefined;
  readonly timeoutMs: number;
  readonly ttlMs: number;
  readonly metadata: unknown;
}

export interface Target {
  readonly end: "onComplete" | "onTimeout" | "onEnd";
  readonly handler: "record" | "flaky" | "nobody";
  readonly failures: number;
}

export type Restart = true | { readonly from: number } | undefined;

/** How many tasks there are. */
export const total = ({ tasks }: Spec): number => (typeof tasks === "number" ? tasks : tasks.length);

/** Whether two registrations are the same: by their tasks and the target of their end. */
export function sameSpec(a: Spec, b: Spec): boolean {
  const routeOf = ({ tasks, target }: Spec): string =>
    JSON.stringify([typeof tasks === "number" ? tasks : [...tasks].sort(), target ?? null]);
  return routeOf(a) === routeOf(b);
}
