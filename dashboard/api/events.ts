/** An event of a stream. */
export interface ServerEvent {
  readonly name: string;
  readonly id: string;
  readonly data: string;
}

/**
 * Yields the events of a stream, as `EventSource` reads them: it cannot send `Authorization`, so the page reads the body of a
 * `fetch`. A part that breaks off is no event.
 */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = eventOf(block);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** Returns `undefined` for a block without an event: a comment, or `retry` alone. */
function eventOf(block: string): ServerEvent | undefined {
  let name = "";
  let id = "";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value;
    if (field === "id") id = value;
    if (field === "data") data.push(value);
  }
  return name === "" ? undefined : { name, id, data: data.join("\n") };
}
