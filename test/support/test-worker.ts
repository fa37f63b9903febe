import type { HandlerContext, HandlerEvent } from "../../src/trackers/handler.js";
import { CompletionTracker } from "../../src/trackers/completion.js";
import type { CoordinatorEvent } from "../../src/coordinator.js";
import { CoordinatorObject, DurableObjectCoordinator } from "../../src/durable-object/index.js";

declare global {
  namespace Cloudflare {
    interface Env {
      COORDINATOR: DurableObjectNamespace<TestCoordinatorObject>;
      UPSTASH_REDIS_REST_URL: string;
      UPSTASH_REDIS_REST_TOKEN: string;
    }
  }
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
  /** Called by the handler `call`. */
  handler: undefined as TestHandler | undefined,
  deliveries: [] as HandlerEvent[],
  events: [] as CoordinatorEvent[],

  reset(): void {
    bench.aheadMs = 0;
    bench.frozenAtMs = undefined;
    bench.handler = undefined;
    bench.deliveries = [];
    bench.events = [];
  },

  now(): number {
    return (bench.frozenAtMs ?? Date.now()) + bench.aheadMs;
  },
};

/** The coordinator's object with a clock that tests turn, and handlers that they watch. */
export class TestCoordinatorObject extends CoordinatorObject<Cloudflare.Env> {
  override readonly handlers = {
    /** Remembers what it was called with. */
    record: (event: HandlerEvent): void => {
      bench.deliveries.push(event);
    },
    /** Does what the test says. */
    call: async (event: HandlerEvent, ctx: HandlerContext<Cloudflare.Env>): Promise<void> => {
      bench.deliveries.push(event);
      await bench.handler?.(event, ctx);
    },
  };

  protected override now(): number {
    return bench.now();
  }

  protected override onEvent(event: CoordinatorEvent): void {
    bench.events.push(event);
  }
}

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
