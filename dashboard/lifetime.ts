import { useEffect as effectOf, useState as stateOf, useLayoutEffect, useMemo, useRef } from "hono/jsx/dom";

/**
 * The state and the effects of the dashboard's components. They end with their component.
 *
 * hono/jsx/dom 4.13 runs an effect at the next frame, also when its component was removed before that frame. Such an
 * effect has no cleanup. A state that is set twice after the removal puts the component on the page again, beside the
 * one that replaced it. A component that is rendered twice before the frame runs its effect twice, with one cleanup.
 */

/** Returns a state and its setter. The setter does nothing once the component is removed. */
export function useState<Value>(first: Value): [Value, (next: Value | ((last: Value) => Value)) => void] {
  const [value, setValue] = stateOf<Value>(first);
  const isShown = useRef(true);
  // A cleanup of this kind is registered before the component can be removed.
  useLayoutEffect(() => {
    isShown.current = true;
    return () => {
      isShown.current = false;
    };
  }, []);
  return [value, (next) => isShown.current === true && setValue(next)];
}

/** An effect that one set of `deps` asks for. */
interface Run {
  begun: boolean;
  cleanup: ReturnType<Effect>;
}

type Effect = Parameters<typeof effectOf>[0];

/** Runs the effect once at the next frame, if the component is still there and `deps` are still its newest ones. */
export function useEffect(effect: Effect, deps: readonly unknown[]): void {
  const run = useMemo<Run>(() => ({ begun: false, cleanup: undefined }), deps);
  const newest = useRef<Run | undefined>(run);
  newest.current = run;
  useLayoutEffect(
    () => () => {
      newest.current = undefined;
    },
    [],
  );
  effectOf(() => {
    if (newest.current !== run) return undefined;
    // hono runs an effect again for each render before the frame, and keeps the cleanup of the last run alone.
    if (!run.begun) {
      run.begun = true;
      run.cleanup = effect();
    }
    return run.cleanup;
  }, deps);
}
