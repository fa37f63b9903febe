import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import { headersWithout } from "./answer.js";

/** Larger bodies are passed on unchanged. */
const MAX_BYTES = 1_048_576;
/** A body that takes longer to read is a stream, and passed on unchanged. */
const READ_MS = 1_000;
/** Headers that are wrong once the body has changed. */
const STALE = /^(content-length|((content|repr)-)?digest|etag)$/;

/**
 * Adds a field to a response whose body is a JSON object in memory without that field. Returns any other response unchanged.
 * Appends to the body's text, so that the digits of its numbers stay as they are.
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
  // A 206 holds a part of a representation, which is not a JSON object.
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

/** Returns the whole body; `undefined` when it is too large, too slow, broken, or not UTF-8. The client still reads the copy. */
async function textOf(body: ReadableStream<Uint8Array>, clock: Clock): Promise<string | undefined> {
  const reader = body.getReader();
  try {
    return await within({ limitMs: READ_MS, signal: undefined, clock }, unreadable, () => readAll(reader));
  } catch {
    // This promise settles only when the other reader ends, so do not await it.
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
