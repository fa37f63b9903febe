import { listDurableObjectIds, reset, runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import {
  CoordinatorObject,
  DurableObjectCoordinator,
  type ObjectNamespace,
  type WatchReply,
} from "../../src/backends/durable-object/object/index.js";
import { AlarmClock } from "../../src/backends/upstash/index.js";
import type { HandlerContext, HandlerEvent } from "../../src/delivery/handler.js";
import type { Drainable } from "../../src/runtime/backend.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";
import type { Harness } from "../../src/testing/index.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import { conformanceHandlers, received } from "./conformance-handlers.js";

declare global {
  namespace Cloudflare {
    interface Env {
      COORDINATOR: DurableObjectNamespace<TestCoordinatorObject>;
      DRAIN_CLOCK: DurableObjectNamespace<TestDrainClock>;
      DB: D1Database;
      UPSTASH_REDIS_REST_URL: string;
      UPSTASH_REDIS_REST_TOKEN: string;
    }
  }
}

/** What an alarm clock drains, and how fast. */
interface DrainPlan {
  coordinator: (env: Cloudflare.Env) => Drainable;
  everyMs?: number;
  limit?: number;
}

type TestHandler = (event: HandlerEvent, ctx: HandlerContext<Cloudflare.Env>) => void | Promise<void>;

/**
 * What tests tell the objects, and what the objects tell them: both run in one isolate. Objects that are made anew find
 * it again; what they keep in memory they do not.
 */
export const bench = {
  /** How far the objects' clock is ahead of the real one. It never runs behind: the platform rings alarms by the real one. */
  aheadMs: 0,
  /** The instant at which the objects' clock stands still; `undefined`: it runs. */
  frozenAtMs: undefined as number | undefined,
  /** Whether the objects tell an index. */
  isIndexed: false,
  /** Called by the handler `call`. */
  handler: undefined as TestHandler | undefined,
  /** What the alarm clock is made with. */
  drains: undefined as DrainPlan | undefined,
  /** The rule of the objects for their handlers. */
  handlerRule: undefined as ((handler: string) => string | undefined) | undefined,
  deliveries: [] as HandlerEvent[],
  events: [] as CoordinatorEvent[],
  /** The beginnings and ends of groups, which most tests do not look at. */
  changes: [] as CoordinatorEvent[],

  reset(): void {
    bench.aheadMs = 0;
    bench.frozenAtMs = undefined;
    bench.isIndexed = false;
    bench.handler = undefined;
    bench.drains = undefined;
    bench.handlerRule = undefined;
    bench.deliveries = [];
    bench.events = [];
    bench.changes = [];
  },

  now(): number {
    return (bench.frozenAtMs ?? Date.now()) + bench.aheadMs;
  },
};

/** The coordinator's object with a clock that tests turn, and handlers that they watch. */
export class TestCoordinatorObject extends CoordinatorObject<Cloudflare.Env> {
  override readonly index: boolean = bench.isIndexed;
  override readonly handlers = {
    ...conformanceHandlers,
    /** Remembers what it was called with. */
    record: (event: HandlerEvent, ctx: HandlerContext<Cloudflare.Env>): void => {
      bench.deliveries.push(event);
      void conformanceHandlers.record?.(event, ctx);
    },
    /** Does what the test says. */
    call: async (event: HandlerEvent, ctx: HandlerContext<Cloudflare.Env>): Promise<void> => {
      bench.deliveries.push(event);
      await bench.handler?.(event, ctx);
    },
  };

  /** Ends the object as a crash does: calls that are under way fail, memory is gone, storage stays. */
  crash(): void {
    this.ctx.abort("crashed");
  }

  /** Rings the alarm as often as it is due by the tests' clock. */
  async ring(): Promise<void> {
    const { storage } = this.ctx;
    for (let at = await storage.getAlarm(); at !== null && at <= bench.now() + 1; at = await storage.getAlarm()) {
      await this.alarm();
    }
  }

  protected override handlerRefusal(handler: string): string | undefined {
    return bench.handlerRule?.(handler);
  }

  openWatches(): number {
    return this.watching;
  }

  protected override now(): number {
    return bench.now();
  }

  protected override onEvent(event: CoordinatorEvent): void {
    (event.type === "registered" || event.type === "ended" ? bench.changes : bench.events).push(event);
  }
}

/** An alarm clock with a clock that tests turn, and a coordinator that they choose. */
export class TestDrainClock extends AlarmClock<Cloudflare.Env> {
  protected override readonly everyMs = bench.drains?.everyMs ?? 15_000;
  protected override readonly limit = bench.drains?.limit ?? 100;

  protected override coordinator(env: Cloudflare.Env): Drainable {
    if (bench.drains === undefined) throw new Error("the test has no drains");
    return bench.drains.coordinator(env);
  }

  protected override now(): number {
    return bench.now();
  }

  protected override onEvent(event: CoordinatorEvent): void {
    bench.events.push(event);
  }
}

// ---- What tests in workerd reach the objects with ----

export type Stub = DurableObjectStub<TestCoordinatorObject>;

export function groupObject(id: string, keyPrefix = "coord:"): Stub {
  return bindings.COORDINATOR.getByName(`${keyPrefix}{completion}${id}`);
}

export function keyObject(tag: string): Stub {
  return bindings.COORDINATOR.getByName(`coord:{kv}${tag}`);
}

/** A tracker as an application has it. Its handlers are the object's: here their names count alone. */
export function makeTracker(keyPrefix = "coord:"): CompletionTracker {
  return new CompletionTracker(new DurableObjectCoordinator({ namespace: bindings.COORDINATOR, keyPrefix }));
}

/** The output of a reply; a fault fails the test. */
export function outputOf(reply: WatchReply): Record<string, unknown> {
  if (!reply.ok) throw new Error(`${reply.code}: ${reply.message}`);
  if (!("output" in reply)) throw new Error("the reply was handed to `take`");
  return reply.output as Record<string, unknown>;
}

/** Calls back inside the object, which starts for it if it must. */
export function inside<Result>(
  stub: Stub,
  work: (object: TestCoordinatorObject, state: DurableObjectState) => Result | Promise<Result>,
): Promise<Result> {
  return runInDurableObject<TestCoordinatorObject, Result>(stub, work);
}

/** The names of the object's tables. */
export function tablesOf(stub: Stub): Promise<string[]> {
  return inside(stub, (_, { storage }) =>
    storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name")
      .toArray()
      .map(({ name }) => name),
  );
}

/** How many rows the table has; 0 for one that was not created. */
export async function countOf(stub: Stub, table: "records" | "members" | "lines"): Promise<number> {
  if (!(await tablesOf(stub)).includes(table)) return 0;
  return inside(stub, (_, { storage }) => {
    return storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
  });
}

export function alarmOf(stub: Stub): Promise<number | null> {
  return inside(stub, (_, { storage }) => storage.getAlarm());
}

/** A corner of the objects' binding; `advance` turns the one clock of all objects, and rings the alarms of this corner. */
export function objectHarness(keyPrefix?: string): Harness {
  const names = new Set<string>();
  const real: ObjectNamespace = bindings.COORDINATOR;
  const namespace: ObjectNamespace = {
    idFromName: (name) => real.idFromName(names.add(name) && name),
    get: (id, options) => real.get(id, options),
    jurisdiction: (name) => real.jurisdiction(name),
  };
  const advance = async (ms: number): Promise<void> => {
    bench.aheadMs += ms;
    for (const name of names) {
      await bindings.COORDINATOR.getByName(name).ring();
    }
  };
  const never = () => new Promise<never>(() => {});
  const silent = Object.assign(Object.create(null), { run: never, watch: never });
  return {
    stalled: () => new DurableObjectCoordinator({ namespace: { ...namespace, get: () => silent } }),
    coordinator: () => new DurableObjectCoordinator({ namespace, ...(keyPrefix === undefined ? {} : { keyPrefix }) }),
    advance,
    deliveries: async (groupId) => received.filter((delivery) => delivery.groupId === groupId),
    lacks: { drainer: "the object alone drains its outbox" },
  };
}

/** Ends the object as a crash does. */
export async function crash(stub: Stub): Promise<void> {
  try {
    await stub.crash();
  } catch {
    // It rejects, as every call does that is under way.
  }
}

/**
 * Empties all storage, and the bench. The pool's own `reset` forgets the objects that are not in memory when it is called,
 * since a test has ended them, or because no call reached them for ten seconds: here they are all called first.
 */
export async function resetAll(): Promise<void> {
  const namespace = bindings.COORDINATOR;
  const ids = await listDurableObjectIds(namespace);
  await Promise.all(ids.map((id) => namespace.get(id).openWatches()));
  await reset();
  bench.reset();
}

// ---- The Worker ----

/** One for all requests of the isolate, as it is in an application that makes it at the top of a module. */
let shared: CompletionTracker | undefined;

/** `POST /groups/ID` registers one task, `/groups/ID/ack` acks it, `GET /groups/ID?timeoutMs=N` waits for the end. */
export default {
  async fetch(request, env) {
    shared ??= new CompletionTracker(new DurableObjectCoordinator({ namespace: env.COORDINATOR }));
    const { pathname, searchParams } = new URL(request.url);
    const [, , id = "", step] = pathname.split("/");
    if (step === "ack") return Response.json(await shared.ack(id, "task"));
    if (request.method === "POST") return Response.json(await shared.register(id, ["task"]));
    const timeoutMs = Number(searchParams.get("timeoutMs"));
    try {
      return Response.json(await shared.wait(id, { timeoutMs }));
    } catch {
      return new Response(null, { status: 504 });
    }
  },
} satisfies ExportedHandler<Cloudflare.Env>;
