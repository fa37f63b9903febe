import { type Context, type Handler, Hono } from "hono";
import {
  coordinationErrors,
  type RequestOptions,
  type RequestWaitEnv,
  requestStatusRoutes,
  requestWait,
} from "../../src/hono/index.js";
import { type Coordinator, MemoryCoordinator, RequestWaitTracker, type TransitionName } from "../../src/index.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";
import { ManualClock, settle } from "../../src/testing/index.js";

export const STAGES = ["parse", "embed"] as const;
export type Stage = (typeof STAGES)[number];
/** The record of the request `r`, in the scope that the bench has by default. */
export const RECORD_OF_R = "4:user1:r";
export type HandlerContext = Context<RequestWaitEnv<Stage>>;

/** An application on a clock that stands still: `POST /work` is the handler's, `/requests` tells how far it is. */
export interface Bench {
  readonly clock: ManualClock;
  readonly coordinator: MemoryCoordinator;
  /** What a worker in another process has: it knows no scope. */
  readonly worker: RequestWaitTracker<Stage>;
  readonly app: Hono;
  readonly events: CoordinatorEvent[];
  /** The ids that the handler would have put into messages. */
  readonly ids: string[];
  post(headers?: Record<string, string>, path?: string, signal?: AbortSignal): Promise<Response>;
  get(path: string, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
}

export type BenchOptions = Partial<RequestOptions<Stage>> & {
  /** What the handler does; by default it adds task `a` of `parse`, and answers 202. */
  readonly handler?: (c: HandlerContext) => Response | Promise<Response>;
};

export const registering = async (c: HandlerContext): Promise<Response> => {
  await c.var.requestWait.add("parse", "a");
  return c.json({ document: "a" }, 202);
};

export function makeBench({ handler = registering, ...options }: BenchOptions = {}): Bench {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const events: CoordinatorEvent[] = [];
  const ids: string[] = [];
  const all: RequestOptions<Stage> = {
    coordinator,
    stages: STAGES,
    scope: () => "user",
    clock,
    onEvent: (e) => events.push(e),
    ...options,
  };
  const remembering: Handler<RequestWaitEnv<Stage>> = (c) => {
    ids.push(c.var.requestWait.id);
    return handler(c);
  };
  const app = new Hono();
  app.onError(coordinationErrors());
  app.all("/work", requestWait(all), remembering);
  app.route("/requests", requestStatusRoutes(all));
  return {
    clock,
    coordinator,
    worker: new RequestWaitTracker(coordinator, { stages: STAGES }),
    app,
    events,
    ids,
    post: async (headers = {}, path = "/work", signal) =>
      app.request(path, { method: "POST", headers, ...withSignal(signal) }),
    get: async (path, headers = {}, signal) => app.request(path, { headers, ...withSignal(signal) }),
  };
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** A response that is still to come, and whether it has. */
export async function held(
  response: Promise<Response>,
): Promise<{ response: Promise<Response>; isHeld: () => boolean }> {
  let isHeld = true;
  const over = (): void => {
    isHeld = false;
  };
  response.then(over, over);
  // Long enough for a handler that turns the clock itself.
  await settle(30);
  return { response, isHeld: () => isHeld };
}

/** Has a coordinator's calls of some transitions, by their own `this`, replaced. */
export function tamper(
  coordinator: Coordinator,
  by: (transition: TransitionName, call: () => Promise<unknown>) => Promise<unknown> | undefined,
): void {
  const run = coordinator.run.bind(coordinator);
  const watch = coordinator.watch.bind(coordinator);
  coordinator.run = ((...args: Parameters<typeof run>) =>
    by(args[0], () => run(...args)) ?? run(...args)) as typeof run;
  coordinator.watch = ((...args: Parameters<typeof watch>) =>
    by(args[0], () => watch(...args)) ?? watch(...args)) as typeof watch;
}

/** A backend that takes the call and is never heard of again. */
export const blackHole = (): Promise<never> => new Promise(() => {});

/** A promise that the test resolves. */
export function gate<T = void>(): { readonly opened: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open: (value) => open(value) };
}
