import { expect, it } from "vitest";
import { checkComments, checkProse } from "../../scripts/check-prose.js";

const found = (page: string): string[] => checkProse("page.md", page).map(({ text }) => text);

it("refuses a word that hides the actor, and says where and what to write", () => {
  expect(checkProse("page.md", "# Title\n\nThe call waits until somebody drains.\n")).toEqual([
    {
      page: "page.md",
      line: 3,
      text: "somebody",
      instead: "name the actor: the caller, the client, the drain, the object",
    },
  ]);
});

it("refuses a sentence of more than 20 words, over lines, in a list too", () => {
  const long = `${"word ".repeat(12)}\n  ${"word ".repeat(8)}end.`;
  expect(found(long)).toEqual([expect.stringMatching(/^word word/)]);
  expect(found(`- Short.\n- ${long}`)).toHaveLength(1);
});

it("refuses a long line, unless it is a row of a table or holds a link", () => {
  const words = "Four words and more. ".repeat(7).trim();
  expect(found(words)).toEqual(["146 characters"]);
  expect(found(`| ${words} |`)).toEqual([]);
  expect(found(`${words} [link](https://example.com)`)).toEqual([]);
});

it("skips code, and counts a piece of code as one word", () => {
  expect(found("```ts\n// nobody, whoever, somebody\n```\n")).toEqual([]);
  expect(found("    nobody\n")).toEqual([]);
  expect(found(`Call \`${"a ".repeat(30)}nobody\` once.`)).toEqual([]);
});

it("reads a list's further lines, which are indented", () => {
  expect(found("1. First.\n\n- Item\n    that somebody reads.")).toEqual(["somebody"]);
});

it("refuses a sentence that begins with `What`, and takes a question", () => {
  expect(found("It works. What fails is repeated.")).toHaveLength(1);
  expect(found("What does it cost?")).toEqual([]);
});

it("reads the comments of a source, and no texts", () => {
  const source = `/**\n * Waits.\n * Until somebody drains.\n */\nconst a = "nobody"; // whoever comes\n`;
  expect(checkComments("a.ts", source).map(({ line, text }) => [line, text])).toEqual([
    [3, "somebody"],
    [5, "whoever"],
  ]);
});
