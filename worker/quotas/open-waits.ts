/** How many waits and event streams of each tenant are open in this isolate. */
export class OpenWaits {
  readonly #open = new Map<string, number>();

  /** Returns a function that ends the wait, however often it is called; `undefined` when `most` waits are open. */
  begin(key: string, most: number): (() => void) | undefined {
    const open = this.#open.get(key) ?? 0;
    if (open >= most) return undefined;
    this.#open.set(key, open + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = (this.#open.get(key) ?? 1) - 1;
      if (left === 0) this.#open.delete(key);
      else this.#open.set(key, left);
    };
  }

  /** How many tenants have one. */
  get size(): number {
    return this.#open.size;
  }
}

/**
 * Returns an event stream whose body calls `end` when it ends: closed, broken, or left by the client. Any other answer has
 * ended.
 */
export function endingWith(response: Response, end: () => void): Response {
  if (response.body === null || response.headers.get("content-type") !== "text/event-stream") {
    end();
    return response;
  }
  const reader = response.body.getReader();
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    try {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
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
