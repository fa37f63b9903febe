/**
 * How long a wait counts at most: longer than any wait lasts, and than the pause between two heartbeats of a stream. The
 * platform may drop a request without a further line of its code, so that its wait has no end of its own.
 */
const LAPSE_MS = 120_000;

/** A wait or an event stream that is open. */
export interface OpenWait {
  /** Ends it, however often it is called. */
  end(): void;
  /** Says that it is open still. */
  renew(nowMs: number): void;
}

/** How many waits and event streams of each tenant are open in this isolate. */
export class OpenWaits {
  readonly #open = new Map<string, Map<OpenWait, number>>();

  /** Begins a wait. Returns `undefined` when `most` are open. */
  begin(key: string, most: number, nowMs: number): OpenWait | undefined {
    const open = this.#open.get(key) ?? new Map<OpenWait, number>();
    if (open.size >= most) dropLapsed(open, nowMs);
    if (open.size >= most) return undefined;
    const wait: OpenWait = {
      end: () => {
        if (open.delete(wait) && open.size === 0) this.#open.delete(key);
      },
      renew: (atMs) => {
        if (open.has(wait)) open.set(wait, atMs);
      },
    };
    open.set(wait, nowMs);
    this.#open.set(key, open);
    return wait;
  }

  /** How many tenants have one. */
  get size(): number {
    return this.#open.size;
  }
}

/** Also drops those of a clock that was set back. */
function dropLapsed(open: Map<OpenWait, number>, nowMs: number): void {
  for (const [wait, seenAtMs] of open) if (Math.abs(nowMs - seenAtMs) > LAPSE_MS) open.delete(wait);
}

/** The reports of an event stream. */
export interface StreamHooks {
  /** The stream was closed, has broken, or was left by the client. */
  end(): void;
  /** Something of it was sent. */
  sent(): void;
}

/** Returns an event stream that reports its end. Any other answer has ended. */
export function endingWith(response: Response, { end, sent }: StreamHooks): Response {
  if (response.body === null || response.headers.get("content-type") !== "text/event-stream") {
    end();
    return response;
  }
  const reader = response.body.getReader();
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    try {
      const { done, value } = await reader.read();
      if (!done) {
        sent();
        return controller.enqueue(value);
      }
      end();
      controller.close();
    } catch (error) {
      end();
      controller.error(error);
    }
  };
  const cancel = async (reason: unknown): Promise<void> => {
    end();
    await reader.cancel(reason);
  };
  return new Response(new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 }), response);
}
