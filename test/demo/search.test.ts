import { describe, expect, it } from "vitest";
import { embed, packVector } from "../../demo/embedding.js";
import type { IndexEntry } from "../../demo/index-file.js";
import { describeHit, search } from "../../demo/search.js";

function entry(documentId: string, ...texts: string[]): IndexEntry {
  const chunks = texts.map((text) => ({ text, vector: packVector(embed(text)) }));
  return { documentId, deliveryId: documentId, state: "completed", chunks };
}

const entries = [
  entry("colors", "Paints text in the colours of the terminal."),
  entry("retries", "Installs with npm.", "Sends a failed request again with exponential backoff and jitter."),
];

describe("search", () => {
  it("finds the nearest chunk first", () => {
    const [best] = search(entries, "exponential backoff for a request");
    expect(best).toMatchObject({ documentId: "retries", text: expect.stringContaining("jitter") });
  });

  it("finds nothing for a query without words", () => {
    expect(search([entry("a", "one two three")], "— —")).toEqual([]);
  });

  it("shows where the words are", () => {
    const text = `${"filler ".repeat(60)}and here is the backoff that was meant`;
    const line = describeHit({ documentId: "doc", score: 0.5, text }, "backoff");
    expect(line).toContain("0.500  doc");
    expect(line).toContain("backoff that was meant");
  });
});
