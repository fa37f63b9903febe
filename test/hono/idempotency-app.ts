import { type Context, Hono } from "hono";
import { coordinationErrors, type IdempotencyEnv, type IdempotencyOptions, idempotency } from "../../src/hono/index.js";
import { type CoordinatorEvent, MemoryCoordinator } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

export type PayContext = Context<IdempotencyEnv>;

/** The headers and the body of a payment. */
export interface Payment {
  readonly key?: string | undefined;
  readonly body?: BodyInit | null;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** An application whose `/pay` is guarded, and counts how often its handler runs. */
export function makeApp(
  handler: (c: PayContext, nth: number) => Response | Promise<Response> = (c, nth) => c.text(`payment ${nth}`, 201),
  options: Partial<IdempotencyOptions> = {},
) {
  const clock = new ManualClock(1_700_000_000_000);
  const coordinator = new MemoryCoordinator({ clock });
  const events: CoordinatorEvent[] = [];
  let ran = 0;
  const all: IdempotencyOptions = {
    coordinator,
    scope: (c) => c.req.header("x-user") ?? "user",
    onEvent: (event) => events.push(event),
    ...options,
  };
  const app = new Hono().onError(coordinationErrors());
  app.all("/pay/*", idempotency(all), (c) => handler(c, ++ran));
  const pay = async ({ key = "k", method = "POST", path = "/pay/a", ...rest }: Payment = {}): Promise<Response> => {
    const headers = { ...(key === "" ? {} : { "idempotency-key": key }), ...rest.headers };
    const body = method === "GET" || method === "HEAD" ? null : (rest.body ?? '{"amount":1}');
    return app.request(path, { method, headers, body, ...(rest.signal === undefined ? {} : { signal: rest.signal }) });
  };
  return { app, clock, coordinator, events, pay, ran: () => ran };
}

/** What a client sees of a response. */
export async function seen(response: Response) {
  return {
    status: response.status,
    isReplay: response.headers.get("idempotency-replayed") === "true",
    text: await response.text(),
  };
}

/** The code of a problem, with its status. */
export async function refused(response: Response): Promise<[status: number, code: unknown]> {
  return [response.status, ((await response.json()) as { code?: unknown }).code];
}

/** A promise that the test settles. */
export function gate<T = void>() {
  let open!: (value: T) => void;
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
