import { coalesce } from "./coalesce.js";
import { dedupe } from "./dedupe.js";
import { completion } from "./group/completion.js";
import { kv } from "./kv.js";
import { limiter } from "./limiter.js";
import { request } from "./request.js";
import { semaphore } from "./semaphore.js";
import { stats } from "./stats.js";
import type { Store, Transition } from "./store.js";

/** All machines by name. A transition is called `machine.step`. */
export const machines = { kv, completion, request, coalesce, dedupe, stats, semaphore, limiter };

export type Machines = typeof machines;
/** The name of a machine, such as `"completion"`. */
export type MachineName = keyof Machines;

/** A transition's name, such as `"completion.ack"`. */
export type TransitionName = {
  [M in MachineName]: `${M}.${keyof Machines[M] & string}`;
}[MachineName];

type Step<N extends TransitionName> = N extends `${infer M}.${infer S}`
  ? M extends MachineName
    ? S extends keyof Machines[M]
      ? Machines[M][S]
      : never
    : never
  : never;

/** The input of a transition. */
export type InputOf<N extends TransitionName> = Step<N> extends Transition<infer Input, infer _> ? Input : never;
/** The output of a transition. */
export type OutputOf<N extends TransitionName> = Step<N> extends (...args: never[]) => infer Output ? Output : never;

/** Returns the transition with this name; `undefined` when there is none. */
export function findTransition(name: string): Transition<unknown, object> | undefined {
  const dot = name.indexOf(".");
  const machine = name.slice(0, dot);
  const step = name.slice(dot + 1);
  if (!Object.hasOwn(machines, machine)) return undefined;
  const steps = machines[machine as MachineName] as Record<string, unknown>;
  return Object.hasOwn(steps, step) ? (steps[step] as Transition<unknown, object>) : undefined;
}

/** Runs a transition by its name. */
export function applyTransition<N extends TransitionName>(name: N, store: Store, input: InputOf<N>): OutputOf<N> {
  const transition = findTransition(name);
  if (transition === undefined) throw new TypeError(`no transition is called ${name}`);
  return transition(store, input) as OutputOf<N>;
}

/** Returns the machine part of a transition's name. */
export function machineOf(name: TransitionName): MachineName {
  return name.slice(0, name.indexOf(".")) as MachineName;
}
