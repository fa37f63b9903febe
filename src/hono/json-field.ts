import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import { headersWithout } from "./answer.js";

/** Larger bodies are passed on as they are. */
const MAX_BYTES = 1_048_576;
/** A body that is not there by then is a stream, and passed on as it is. */
const READ_MS = 1_000;
/** What is no longer true of a body that has changed. */
const STALE = /^(content-length|((content|repr)-)?digest|etag)$/;

/**
 * The response with one field more, when its body is a JSON object in memory that has no such field. Any other response is
 * as it was. The body's own text stays as it is, to the last digit of its numbers.
 */
export async function withJsonField(response: Response, field: string, value: object, clock: Clock): Promise<Response> {
  if (response.body === null || !isPlainJson(response)) return response;
  const [read, again] = response.body.tee();
  const text = addField(await textOf(read, clock), field, value);
  if (text === undefined) return new Response(again, response);
  again.cancel().catch(() => {});
  return new Response(text, { status: response.status, headers: headersWithout(response, STALE) });
}

function isPlainJson({ headers, status }: Response): boolean {
  const isJson = /^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(headers.get("content-type") ?? "");
  // A part of a representation is no object, whatever its type says.
  return isJson && status !== 206 && !headers.has("content-encoding");
}

function addField(text: string | undefined, field: string, value: object): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
  if (text === undefined || typeof parsed !== "object" || parsed === null) return undefined;
  if (Array.isArray(parsed) || Object.hasOwn(parsed, field)) return undefined;
  const comma = Object.keys(parsed).length === 0 ? "" : ",";
  return `${text.slice(0, text.lastIndexOf("}"))}${comma}${JSON.stringify(field)}:${JSON.stringify(value)}}`;
}

/** The whole of a body; `undefined` when it is too large, too slow, broken, or no UTF-8: its other reader will see. */
async function textOf(body: ReadableStream<Uint8Array>, clock: Clock): Promise<string | undefined> {
  const reader = body.getReader();
  try {
    return await within({ limitMs: READ_MS, signal: undefined, clock }, unreadable, () => readAll(reader));
  } catch {
    // Settles with the other reader only.
    reader.cancel().catch(() => {});
    return undefined;
  }
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  for (let bytes = 0; bytes <= MAX_BYTES; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    text += decoder.decode(value, { stream: true });
  }
  throw unreadable();
}

const unreadable = (): Error => new Error("too large, or too slow");
