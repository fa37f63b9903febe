import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_CHUNK, splitIntoChunks } from "../../demo/chunks.js";

const words = (text: string): string => text.replaceAll(/\s+/g, "");

describe("splitIntoChunks", () => {
  it("keeps short paragraphs together", () => {
    expect(splitIntoChunks("# Title\n\nOne.\r\n\r\nTwo.\n\n\n")).toEqual(["# Title\n\nOne.\n\nTwo."]);
  });

  it("cuts between paragraphs", () => {
    const paragraph = "word ".repeat(140).trim();
    expect(splitIntoChunks([paragraph, paragraph, paragraph].join("\n\n"))).toEqual([paragraph, paragraph, paragraph]);
  });

  it("cuts a long paragraph after a sentence", () => {
    const sentence = `${"word ".repeat(180).trim()}. `;
    const [first] = splitIntoChunks(sentence.repeat(3));
    expect(first).toBe(sentence.trim());
  });

  it("cuts a text without spaces anywhere but inside a character", () => {
    for (const chunk of splitIntoChunks("🙂".repeat(2_001))) expect(chunk).toMatch(/^(🙂)+$/u);
  });

  it("makes no chunk of no text", () => {
    expect(splitIntoChunks(" \n\n\t\n")).toEqual([]);
  });

  it("loses nothing, and makes no chunk that is too long", () => {
    const paragraph = fc.array(fc.string({ minLength: 1, maxLength: 400 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(paragraph, { maxLength: 8 }), (paragraphs) => {
        const text = paragraphs.map((parts) => parts.join(" ")).join("\n\n");
        const chunks = splitIntoChunks(text);
        expect(words(chunks.join(""))).toBe(words(text));
        expect(chunks.every((chunk) => chunk.length > 0 && chunk.length <= MAX_CHUNK)).toBe(true);
      }),
    );
  });
});
