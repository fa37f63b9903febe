import { describe, expect, it } from "vitest";
import { readJson } from "../../worker/body.js";

/** A request whose body comes in pieces, all of them in one buffer: a kept piece changes with the next one. */
function inPieces(text: string, length: number): Request {
  const bytes = new TextEncoder().encode(text);
  const buffer = new Uint8Array(4_096);
  let at = 0;
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const piece = bytes.subarray(at, at + length);
    at += length;
    buffer.set(piece);
    if (piece.length > 0) controller.enqueue(buffer.subarray(0, piece.length));
    else controller.close();
  };
  const body = new ReadableStream({ pull }, { highWaterMark: 0 });
  const headers = { "content-type": "application/json" };
  return new Request("https://worker.example/", { method: "PUT", headers, body, duplex: "half" } as RequestInit);
}

describe("a body", () => {
  it.each([1, 2, 3, 7, 100, 4_096])("that comes in pieces of %i bytes is read without keeping them", async (length) => {
    const value = { text: "é".repeat(5_000), list: Array.from({ length: 300 }, (_, n) => n) };
    expect(await readJson(inPieces(JSON.stringify(value), length))).toEqual(value);
  });
});
