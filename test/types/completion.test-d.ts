import {
  type AckResult,
  type CompletionTarget,
  type CompletionTargets,
  CompletionTracker,
  type CompletionTrackerOptions,
  type HandlerEvent,
  type Handlers,
  type HandlerTarget,
  MemoryCoordinator,
  type RegisterOptions,
  type Task,
} from "../../src/index.js";

/** Checked by the compiler alone: what must not compile stands below `@ts-expect-error`. */

interface Env {
  readonly db: string;
}

const tracker = new CompletionTracker(new MemoryCoordinator(), {
  env: { db: "main" } satisfies Env,
  handlers: {
    finalize: (event: HandlerEvent<{ document: string }>) => void event.payload.document.length,
    ping: () => {},
    both: (event: HandlerEvent<number>, ctx) => {
      // The context's env is the tracker's.
      const name: string = ctx.env.db;
      // @ts-expect-error: there is no such field in env
      ctx.env.cache;
      return ctx.coordinator.incr(name, event.payload).then(() => undefined);
    },
  },
});

export async function handlersAreChecked(): Promise<void> {
  await tracker.register("g", 2, { onComplete: { handler: "finalize", payload: { document: "d1" } } });
  await tracker.register("g", ["a"], { onTimeout: { handler: "both", payload: 5 }, onEnd: { handler: "ping" } });
  await tracker.register("g", 2, { onComplete: (status) => void status.groupId, onEnd: { url: "https://a.example" } });
  // @ts-expect-error: no handler is called so
  await tracker.register("g", 2, { onComplete: { handler: "finalise", payload: { document: "d1" } } });
  // @ts-expect-error: the payload is of another type
  await tracker.register("g", 2, { onComplete: { handler: "finalize", payload: { document: 5 } } });
  // @ts-expect-error: the payload is another handler's
  await tracker.register("g", 2, { onComplete: { handler: "both", payload: { document: "d1" } } });
  // @ts-expect-error: the payload is missing
  await tracker.register("g", 2, { onComplete: { handler: "finalize" } });
  // @ts-expect-error: there is no such option
  await tracker.register("g", 2, { timeoutMs: 5 });
  // @ts-expect-error: restart is true or a generation
  await tracker.register("g", 2, { restart: 5 });
}

export async function acksAreChecked(): Promise<void> {
  const one = await tracker.ack("g", "a");
  const many = await tracker.ack("g", ["a", { id: "b", result: 1 }, { id: "c", error: "broken" }]);
  one.verdict satisfies "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";
  many.map(({ ended }) => ended);
  const oneOrMany = (tasks: Task | readonly Task[]): Promise<AckResult | AckResult[]> => tracker.ack("g", tasks);
  // @ts-expect-error: it may be one, or many
  (await oneOrMany("a")).verdict;
  // @ts-expect-error: one result is no list
  one.map;
  // @ts-expect-error: a result and an error exclude each other's type
  await tracker.ack("g", { id: "c", error: 5 });
  // @ts-expect-error: a task needs an id
  await tracker.ack("g", { result: 1 });
}

/** A type's name without arguments means what the tracker means by its own. */
export function byNameAlone(
  options: CompletionTrackerOptions,
  registration: RegisterOptions,
  targets: CompletionTargets,
  onEnd: CompletionTarget,
  onTimeout: HandlerTarget,
): Promise<unknown> {
  const handlers: Handlers = { ping: (event) => void event.payload };
  const plain: CompletionTracker = new CompletionTracker(new MemoryCoordinator(), { handlers, ...options });
  return plain.register("g", 2, { ...registration, ...targets, onEnd, onTimeout });
}

// @ts-expect-error: there is no such option
new CompletionTracker(new MemoryCoordinator(), { timeoutMs: 5 });
// @ts-expect-error: the clock is a Clock
new MemoryCoordinator({ clock: Date });

export async function numberedTasksAreChecked(): Promise<void> {
  await tracker.register("g", { indexed: 1_000_000 });
  // @ts-expect-error: the number is the second argument
  await tracker.register("g", 5, { indexed: true });
  // @ts-expect-error: numbered tasks have a number
  await tracker.register("g", { indexed: true });
}
