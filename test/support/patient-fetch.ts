const PAUSE_MS = 20;

/**
 * A `fetch` that sends the same request again as long as it finds no server, or loses the connection: a client that waits
 * until a Worker is back, and repeats to the letter what may have landed.
 */
export async function patientFetch(url: string, init: RequestInit): Promise<Response> {
  for (;;) {
    try {
      const response = await fetch(url, init);
      // A connection can be lost in the middle of the answer, too.
      return new Response(await response.arrayBuffer(), response);
    } catch (error) {
      init.signal?.throwIfAborted();
      if (!(error instanceof TypeError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
